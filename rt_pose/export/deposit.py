"""The session within an NWB file: what a replay needs, as one compressed data set, and its way back.

Whoever has the file can compute every stimulus again from it: `rt-pose verify FILE.nwb` unpacks the session,
verifies it as any other, and compares the file's tables and poses with it (`nwb_check`).
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.views import VIEWS_FOLDER, copy_name
from rt_pose.errors import UserError
from rt_pose.files import is_plain_name
from rt_pose.offline.hdf import MOST_BYTES
from rt_pose.package import MANIFEST, read_manifest
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.paths import manifest_name, places_of
from rt_pose.session.read import INFO_NAME, OwnModelInfo, PackageInfo, Session
from rt_pose.session.seal import SEAL_NAME

ARCHIVE = "rt_pose_session"
ARCHIVED = (INFO_NAME, LOG_NAME, SEAL_NAME)
MOST_RATIO, SMALL_BYTES = 200, 64 << 20
"""An archive that claims more bytes for each of its own, and more than a little, is none of ours: numbers of
a log do not compress so well."""
HEADER_BYTES = 1 << 20
_DAMAGED = (
    *(OSError, LookupError, ValueError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError),
    *(lzma.LZMAError, tarfile.TarError),
)


def pack(session: Session) -> NDArray[np.uint8]:
    """Pack what a replay needs of a session: log, description, seal, models' manifests, calibrations.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    NDArray[np.uint8]
        A tar archive, compressed by xz.
    """
    files = {name: session.path / name for name in ARCHIVED}
    files |= {name: file for name, file in manifests(session).items() if file is not None}
    files |= {name: session.path / name for name in calibrations(session.info.views)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, file in files.items():
            if file.is_file():
                archive.add(file, name)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def calibrations(groups: Iterable[str]) -> list[str]:
    """List the copies of the groups' calibrations in a session.

    Parameters
    ----------
    groups
        Names of the groups of views.

    Returns
    -------
    list[str]
        Paths within the session's folder.
    """
    return [f"{VIEWS_FOLDER}/{copy_name(group)}" for group in groups]


def manifests(session: Session) -> dict[str, Path | None]:
    """Find the manifests of the models that ran.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[str, Path | None]
        By their names in the archive; None where what lies in a package's places is not the one that ran.
    """
    models: dict[str, PackageInfo | OwnModelInfo] = {"": session.info.package, **session.info.own_models}
    return {
        manifest_name(camera): _manifest(session, model.path, model.sha256)
        for camera, model in models.items()
    }


def _manifest(session: Session, path: str, sha256: str) -> Path | None:
    for place in places_of(session, path) if path else ():
        try:
            if read_manifest(place / MANIFEST).sha256 == sha256:
                return place / MANIFEST
        except (UserError, OSError):
            continue  # another copy may be whole
    return None


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
        Where what it carries is damaged, or is larger than the disk or than any session is.
    """
    import h5py

    try:
        with h5py.File(file, "r") as nwb:
            found = nwb.get(f"scratch/{ARCHIVE}")
            if found is None:
                return False
            if not isinstance(found, h5py.Dataset) or found.dtype != np.uint8 or found.ndim != 1:
                raise ValueError(f"'{ARCHIVE}' is no array of bytes")
            if found.size > MOST_BYTES:
                raise ValueError(f"'{ARCHIVE}' claims to hold {found.size:,} bytes")
            data = found[()].tobytes()
        stream = _SmallReads(io.BytesIO(data))
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            _extract(archive, folder, max(SMALL_BYTES, MOST_RATIO * len(data)))
    except _DAMAGED as error:
        raise UserError(f"{file}: the session in it cannot be read: {error}") from error
    return True


class _SmallReads(lzma.LZMAFile):
    """An archive whose headers are as small as ours: tarfile takes any into memory whole."""

    def read(self, size: int | None = -1) -> bytes:
        """See `LZMAFile.read`; ValueError where it is asked for more than a header may have."""
        if size is None or not 0 <= size <= HEADER_BYTES:
            raise ValueError(f"a part of it claims {size} bytes")
        return super().read(size)


def _extract(archive: tarfile.TarFile, folder: Path, most_bytes: int) -> None:
    for member in archive:
        name = member.name
        own = is_plain_name(name) and name.endswith(MANIFEST)
        wanted = name in ARCHIVED or own or _is_calibration(name)
        source = archive.extractfile(member) if member.isreg() and wanted else None
        if source is None:
            continue
        free = min(shutil.disk_usage(folder).free, most_bytes)
        if member.size > free:
            raise UserError(
                f"{name} in it claims {member.size:,} bytes; there is room for {free:,} in {folder}"
            )
        most_bytes -= member.size
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("wb") as target:
            shutil.copyfileobj(source, target)


def _is_calibration(name: str) -> bool:
    folder, _, file = name.partition("/")
    return folder == VIEWS_FOLDER and is_plain_name(file)
