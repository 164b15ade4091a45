"""The session within an NWB file: what a replay needs, as one compressed data set, and its way back.

Whoever has the file can compute every stimulus again from it: `rt-pose verify FILE.nwb` unpacks the session,
verifies it as any other, and compares the file's tables with it.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.export.events import EVENTS, STIMULI
from rt_pose.export.poses import recording_of_session
from rt_pose.package import MANIFEST
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.paths import places_of
from rt_pose.session.read import INFO_NAME, Session
from rt_pose.session.seal import SEAL_NAME

ARCHIVE = "rt_pose_session"
ARCHIVED = (INFO_NAME, LOG_NAME, SEAL_NAME, MANIFEST)
TOLERANCE_S = 1e-6
"""How far a time of a table may be from the log's: it has gone through float64 seconds."""
_DAMAGED = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,
    lzma.LZMAError,
    tarfile.TarError,
)


def pack(session: Session) -> NDArray[np.uint8]:
    """Pack what a replay needs of a session: log, description with the configuration, seal, model's manifest.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    NDArray[np.uint8]
        A tar archive, compressed by xz.
    """
    files = {name: session.path / name for name in ARCHIVED if name != MANIFEST}
    package = next(places_of(session, session.info.package.path), None) if session.info.package.path else None
    if package is not None:
        files[MANIFEST] = package / MANIFEST
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, file in files.items():
            if file.is_file():
                archive.add(file, name)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def unpack(file: Path, folder: Path) -> bool:
    """Unpack the session that an NWB file carries.

    Parameters
    ----------
    file
        The NWB file.
    folder
        Gets the session's files.

    Returns
    -------
    bool
        False where it carries none.

    Raises
    ------
    UserError
        Where what it carries is damaged, or is larger than the disk.
    """
    import h5py

    try:
        with h5py.File(file, "r") as nwb:
            found = nwb.get(f"scratch/{ARCHIVE}")
            if found is None:
                return False
            if found.dtype != np.uint8 or found.ndim != 1:
                raise ValueError(f"'{ARCHIVE}' is no array of bytes")
            data = found[()].tobytes()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as archive:
            _extract(archive, folder)
    except _DAMAGED as error:
        raise UserError(f"{file}: the session in it cannot be read: {error}") from error
    return True


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    for member in archive:
        source = archive.extractfile(member) if member.isreg() and member.name in ARCHIVED else None
        if source is None:
            continue
        free = shutil.disk_usage(folder).free
        if member.size > free:
            raise UserError(
                f"{member.name} in it is {member.size:,} bytes large; {free:,} are free in {folder}"
            )
        with (folder / member.name).open("wb") as target:
            shutil.copyfileobj(source, target)


def differing_tables(file: Path, session: Session) -> Iterator[str]:
    """Compare the tables of events of an NWB file with the session that it carries.

    Parameters
    ----------
    file
        The NWB file.
    session
        The session that was in it.

    Yields
    ------
    str
        What differs, a sentence a table.
    """
    import h5py

    with h5py.File(file, "r") as nwb:
        exported = set(nwb["general/devices"])
        cameras = [name for name in session.info.cameras if name in exported]
        recording = recording_of_session(session, cameras)
        for name, rows, words in (
            (EVENTS, recording.events, ("rule", "outcome")),
            (STIMULI, recording.stimuli, ("output", "rule")),
        ):
            yield from _differences(nwb, name, rows, words)


def _differences(nwb: Any, name: str, rows: Sequence[Any], words: tuple[str, ...]) -> Iterator[str]:
    times = np.asarray(_column(nwb, name, "timestamp"), float)
    own = np.array([row.t_s for row in rows])
    if len(times) != len(rows):
        yield f"{name}: {len(times):,} rows, the log has {len(rows):,}"
    elif not np.allclose(times, own, rtol=0.0, atol=TOLERANCE_S):
        yield f"{name}: its times are not those of the log"
    for word in words:
        if [str(text) for text in _column(nwb, name, word)] != [getattr(row, word) for row in rows]:
            yield f"{name}: its column '{word}' is not that of the log"


def _column(nwb: Any, table: str, name: str) -> list[Any]:
    node = nwb.get(f"events/{table}/{name}")
    if node is None:
        return []
    return [value.decode() if isinstance(value, bytes) else value for value in node[()]]
