"""A log cut anywhere gives all that was whole before the cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_pose.session.log_file import LogWriter, read_log

RECORDS = 120


@pytest.fixture(scope="module")
def whole_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A log flushed every ten records, and the file's size after each flush."""
    path = tmp_path_factory.mktemp("log") / "log.mcap"
    log, sizes = LogWriter(path), []
    for i in range(RECORDS):
        log.write(b"event" if i % 3 else b"frame", 1000 - i, bytes([i]) * 50)
        if i % 10 == 9:
            log.flush()
            sizes.append(path.stat().st_size)
    log.sync()
    log.close()
    return path, sizes


def test_whole(whole_log: tuple[Path, list[int]]) -> None:
    messages, cut = read_log(whole_log[0])
    assert cut == ""
    assert [m.payload[0] for m in messages] == list(range(RECORDS))
    assert [m.t_ns for m in messages] == [1000 - i for i in range(RECORDS)]
    assert {m.topic for m in messages[::3]} == {"frame"}


@given(place=st.floats(0, 1), tail=st.sampled_from([b"", bytes(4096)]) | st.binary(max_size=64))
def test_cut_anywhere(
    place: float, tail: bytes, whole_log: tuple[Path, list[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole, sizes = whole_log[0].read_bytes(), whole_log[1]
    at = int(place * len(whole))
    path = tmp_path_factory.mktemp("cut") / "log.mcap"
    path.write_bytes(whole[:at] + tail)
    messages, _ = read_log(path)
    flushed = 10 * sum(size <= at for size in sizes)
    assert [m.payload[0] for m in messages[:flushed]] == list(range(flushed))
    assert len(messages) <= flushed + 10


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.mcap").touch()
    messages, cut = read_log(tmp_path / "log.mcap")
    assert messages == []
    assert cut != ""


def test_a_log_is_never_written_over(tmp_path: Path) -> None:
    LogWriter(tmp_path / "log.mcap").close()
    with pytest.raises(FileExistsError):
        LogWriter(tmp_path / "log.mcap")
