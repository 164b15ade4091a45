"""A disk that answers with errors: what is told of it, and what is left of the session.

The disk is a file object at the one place where each file is written or read: no error of a disk can be made
to order here.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.patience import PATIENCE_S, wait_until
from support.synthetic_session import SyntheticLoop, write_info

from rt_pose.clock import HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.records import CapturedFrame
from rt_pose.session import log_file, record, seal, video_recording
from rt_pose.session.folder import SessionFolder
from rt_pose.session.log_file import LogGaps, LogWriter, iterate_log, read_log
from rt_pose.session.read import INFO_NAME, Session
from rt_pose.session.recorder_report import RecorderReport
from rt_pose.session.seal import SEAL_NAME, UNREADABLE
from rt_pose.session.supervision import Supervision
from rt_pose.session.video_file import file_names
from rt_pose.session.video_recording import CameraRecorder
from rt_pose.types import CameraInfo, FrameStamps

FAULT = os.strerror(errno.EIO)


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EIO, FAULT)


class BadDisk:
    """A file on a disk that fails once it has taken so many bytes."""

    def __init__(self, file: Any, takes: int) -> None:
        self._file, self._takes = file, takes

    def write(self, data: bytes) -> int:
        if self._takes <= 0:
            refuse()
        self._takes -= len(data)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class LogOnBadDisk(LogWriter):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file._file = BadDisk(self._file._file, 3000)  # type: ignore[assignment]


def test_a_recorder_whose_disk_fails_says_so_and_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_info(tmp_path)
    monkeypatch.setattr(record, "LogWriter", LogOnBadDisk)
    context = multiprocessing.get_context("fork")
    reports, theirs = context.Pipe(duplex=False)
    endpoint = f"ipc://{tmp_path}/r"
    process = context.Process(target=record.main, args=(str(tmp_path), endpoint, None, theirs))
    process.start()
    theirs.close()
    loop, sent = SyntheticLoop(endpoint), iter(range(10**9))
    wait_until(lambda: loop.frame(next(sent)) or process.exitcode is not None)
    loop.close()
    last = RecorderReport()
    while reports.poll(PATIENCE_S):
        try:
            last = msgspec.msgpack.decode(reports.recv_bytes(), type=RecorderReport)
        except EOFError:
            break
    assert process.exitcode == 1
    assert last.ending == f"cannot write {tmp_path} any more: {FAULT}"
    assert not last.whole
    assert "Traceback" not in capfd.readouterr().err
    session = Session.read(tmp_path)
    assert session.cut != ""
    indices = [frame.stamps.index for frame in session.frames]
    assert indices == list(range(len(indices)))
    assert 0 < len(indices) <= last.received


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 MB in 40 chunks and more."""
    path = tmp_path_factory.mktemp("log") / "log.mcap"
    log = LogWriter(path)
    for i in range(200):
        log.write(b"frame", i, bytes([i]) * 10_000)
        if i % 5 == 4:
            log.flush()
    log.close(sync=True)
    return path


def test_a_log_is_read_up_to_where_the_disk_can_be_read(
    long_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = log_file._FileBytes.part

    def part(self: Any, begin: int, end: int) -> bytes:
        return refuse() if begin <= 1_000_000 < end else whole(self, begin, end)

    monkeypatch.setattr(log_file._FileBytes, "part", part)
    messages, unread = read_log(long_log)
    numbers = [message.payload[0] for message in messages if message.topic == "frame"]
    assert numbers == list(range(len(numbers)))
    assert 80 < len(numbers) < 110
    assert unread == f"it cannot be read any further: {FAULT}"


def test_a_log_that_is_cut_while_it_is_read_ends_there(long_log: Path, tmp_path: Path) -> None:
    """A mapped file would end the program with a bus error."""
    path, gaps = tmp_path / "log.mcap", LogGaps()
    path.write_bytes(long_log.read_bytes())
    reading = iterate_log(path, gaps)
    first = next(reading)
    os.truncate(path, 5000)
    rest = sum(message.topic == "frame" for message in reading)
    assert first.t_ns == 0
    assert rest < 199
    assert gaps.cut.startswith("it breaks off at byte")


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    ring = FrameRing.create(CameraInfo("top", "none", "0", 64, 48, 1, 100.0))
    yield ring
    ring.close()


def test_a_film_that_the_disk_did_not_take_is_no_film(
    tmp_path: Path, ring: FrameRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system takes what is written at once, and says only when it is asked that the disk has not."""
    said = []
    for fsync in (os.fsync, refuse):
        folder = tmp_path / fsync.__name__
        folder.mkdir()
        film = CameraRecorder(folder, ring.description)
        ring.begin_write(0)[:] = 7
        generation, stamps = ring.end_write(0), FrameStamps(0, None, 0, 0)
        film.copy(CapturedFrame(t_ns=1, camera="top", stamps=stamps, slot=0, generation=generation))
        film.close()
        monkeypatch.setattr(video_recording.os, "fsync", fsync)
        film.sync()
        said.append(film.fault)
        assert all((folder / name).stat().st_size for name in file_names("top"))
    assert said == ["", f"the disk did not take all of top.mkv: {FAULT}"]


def test_a_session_is_not_sealed_over_a_file_that_cannot_be_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info: dict[str, Any] = {"id": "s", "cameras": ["top"], "package": {"sha256": ""}, "config": {}}
    info |= {"status": "complete", "missing": []}
    folder = SessionFolder.claim(tmp_path / "session", info)
    ended = object.__new__(Supervision)
    ended._info, ended._clock, ended._config = info, HostClock(), RunConfig()
    (folder.path / "top.mkv").write_bytes(b"film")
    assert ended._seal(folder) == ""
    (folder.path / SEAL_NAME).unlink()
    hashed = seal.hash_file
    monkeypatch.setattr(seal, "hash_file", lambda path: refuse() if path.suffix == ".mkv" else hashed(path))
    problem = f"top.mkv {UNREADABLE}: {FAULT}"
    assert ended._seal(folder) == problem
    folder.close()
    assert not (folder.path / SEAL_NAME).exists()
    written = json.loads((folder.path / INFO_NAME).read_text())
    assert (written["status"], written["missing"]) == (f"incomplete: {problem}", [problem])
