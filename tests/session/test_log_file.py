"""A log cut anywhere gives all that was whole before the cut."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.opcode import Opcode
from mcap.writer import CompressionType, Writer

from rt_pose.records import MAX_PAYLOAD_BYTES
from rt_pose.session import log_file
from rt_pose.session.log_file import LogGaps, LoggedMessage, LogWriter, count_records

RECORDS = 120


def iterate_log(path: Path, gaps: LogGaps) -> Iterator[LoggedMessage]:
    """The records that were given to the log, without the links of its chain."""
    return (message for message in log_file.iterate_log(path, gaps) if message.topic != "chain")


def read_log(path: Path) -> tuple[list[LoggedMessage], str]:
    gaps = LogGaps()
    return list(iterate_log(path, gaps)), str(gaps)


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


def chunks(path: Path) -> list[tuple[int, int]]:
    """Where each chunk begins and ends."""
    raw, at, found = path.read_bytes(), 8, []
    while raw[at] != 0x0F:
        (length,) = struct.unpack_from("<Q", raw, at + 1)
        if raw[at] == 0x06:
            found.append((at, at + 9 + length))
        at += 9 + length
    return found


@pytest.mark.parametrize("which", [0, 4, -1])
@pytest.mark.parametrize("what", ["record", "length", "end"])
def test_a_damaged_chunk_costs_its_own_records_alone(
    which: int, what: str, whole_log: tuple[Path, list[int]], tmp_path: Path
) -> None:
    begin, end = chunks(whole_log[0])[which]
    raw = bytearray(whole_log[0].read_bytes())
    at = {"record": (begin + end) // 2, "length": begin + 3, "end": end - 1}[what]
    raw[at] ^= 0xFF
    path = tmp_path / "log.mcap"
    path.write_bytes(raw)
    gaps = LogGaps()
    messages = list(iterate_log(path, gaps))
    first = 10 * (which % 13)  # the last chunk holds the last link alone
    assert [m.payload[0] for m in messages] == [i for i in range(RECORDS) if not first <= i < first + 10]
    assert {m.topic for m in messages} == {"event", "frame"}
    if which == -1:  # nothing whole comes after it
        assert gaps.cut == f"it breaks off at byte {begin:,} of {len(raw):,}"
    else:
        assert gaps.cut == ""
        assert gaps.skipped == [f"{end - begin:,} damaged bytes from byte {begin:,} on"]
    assert read_log(path)[1] == str(gaps) != ""


def test_a_cut_log_whose_first_chunk_is_damaged(whole_log: tuple[Path, list[int]], tmp_path: Path) -> None:
    """Without the index at its end too, what each record is about is known."""
    parts = chunks(whole_log[0])
    raw = bytearray(whole_log[0].read_bytes()[: parts[5][1]])
    raw[parts[0][1] - 1] ^= 1
    (tmp_path / "log.mcap").write_bytes(raw)
    messages, missing = read_log(tmp_path / "log.mcap")
    assert [m.payload[0] for m in messages] == list(range(10, 60))
    assert {m.topic for m in messages} == {"event", "frame"}
    assert "damaged bytes" in missing
    assert "its end is missing" in missing


def test_a_record_that_could_not_be_read_back_is_refused(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log.mcap")
    assert log.write(b"event", 1, b"before")
    assert not log.write(b"control", 2, bytes(MAX_PAYLOAD_BYTES + 1))
    assert log.write(b"event", 3, bytes(MAX_PAYLOAD_BYTES))
    assert log.write(b"event", 4, b"after")
    log.close()
    messages, missing = read_log(tmp_path / "log.mcap")
    assert missing == ""
    assert [m.t_ns for m in messages] == [1, 3, 4]
    assert count_records(tmp_path / "log.mcap") == {"event": 3}
    assert count_records(tmp_path / "none.mcap") == {}


def test_an_older_log_with_a_record_too_large_is_read_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.session.log_file.MAX_PAYLOAD_BYTES", 100 << 20)
    log = LogWriter(tmp_path / "log.mcap")
    log.write(b"event", 1, b"before")
    log.flush()
    log.write(b"control", 2, bytes(70 << 20))
    log.write(b"event", 3, b"after")
    log.close()
    messages, missing = read_log(tmp_path / "log.mcap")
    assert [m.payload for m in messages] == [b"before", b"after"]
    assert "73,400," in missing


def test_a_log_notices_what_others_do_to_it(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log.mcap")
    assert log.displacement() == ""
    (tmp_path / "log.mcap").rename(tmp_path / "moved.mcap")
    assert "was moved" in log.displacement()
    (tmp_path / "moved.mcap").unlink()
    assert log.displacement() == "was removed"
    log.close()


def test_what_we_do_not_write_is_no_part_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD)
        writer.start()
        channel = writer.register_channel("event", "msgpack", 0)
        writer.add_message(channel, 1, bytes(1 << 20), 1)
        writer.add_metadata("rt-pose", {"9" * 5000: "event"})  # of more digits than Python converts
        writer.finish()
    messages, gaps = read_log(path)
    assert messages == []
    assert "it breaks off" in gaps


def test_an_end_amid_the_log_is_damage(whole_log: tuple[Path, list[int]], tmp_path: Path) -> None:
    data, path = bytearray(whole_log[0].read_bytes()), tmp_path / "log.mcap"
    chunks = sorted({message.chunk_at for message in iterate_log(whole_log[0], LogGaps())})
    assert data[chunks[3]] == Opcode.CHUNK
    data[chunks[3]] = Opcode.DATA_END
    path.write_bytes(data)
    messages, gaps = read_log(path)
    assert len(messages) == RECORDS - 10
    assert "damaged bytes" in gaps
