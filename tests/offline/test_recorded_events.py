"""Exports of recording programs are read as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.offline.recorded_events import read_events

STATES = np.array([1, 3, -1, -3, 1, -1], np.int16)
SECONDS = np.array([0.5, 0.6, 0.7, 0.8, 1.5, 1.6])


def ttl_folder(path: Path, **arrays: np.ndarray) -> Path:
    path.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return path


def test_the_folder_of_open_ephys(tmp_path: Path) -> None:
    folder = tmp_path / "recording1" / "events" / "Acquisition_Board-100.Rhythm Data" / "TTL"
    samples = (SECONDS * 30_000).astype(np.int64)
    words = np.ones(6, np.uint64)
    ttl_folder(folder, states=STATES, timestamps=SECONDS, sample_numbers=samples, full_words=words)
    for path in (folder, tmp_path):  # or any folder with one such folder in it
        found = read_events(path)
        assert found.format == "open-ephys"
        assert {line: times.tolist() for line, times in found.rises_s.items()} == {
            "1": [0.5, 1.5],
            "3": [0.6],
        }


def test_a_folder_without_times_in_s_wants_the_rate(tmp_path: Path) -> None:
    samples = (SECONDS * 30_000).astype(np.int64)
    new = ttl_folder(tmp_path / "new", states=STATES, timestamps=np.full(6, -1.0), sample_numbers=samples)
    old = ttl_folder(tmp_path / "old", channel_states=STATES, timestamps=samples)
    for folder in (new, old):
        with pytest.raises(UserError, match="--rate-hz"):
            read_events(folder)
        assert read_events(folder, rate_hz=30_000.0).line("1").tolist() == [0.5, 1.5]


def test_the_table_of_open_ephys(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        "line,sample_number,timestamp,processor_id,stream_index,stream_name,state\n"
        "2,100,3.25,100,0,Rhythm,1\n2,110,3.35,100,0,Rhythm,0\n4,120,3.5,100,0,Rhythm,1\n"
    )
    found = read_events(tmp_path / "e.csv")
    assert (found.format, found.line("2").tolist(), found.line("4").tolist()) == ("open-ephys", [3.25], [3.5])
    with pytest.raises(UserError, match=r"several lines.*2 \(1 edges\), 4 \(1 edges\)"):
        found.line(None)
    with pytest.raises(UserError, match="no rising edge of a line '7'"):
        found.line("7")


def test_the_text_of_catgt(tmp_path: Path) -> None:
    (tmp_path / "run_g0_tcat.nidq.xd_8_3_0.txt").write_text("0.502113\n1.002127\n\n1.502141\n")
    found = read_events(tmp_path / "run_g0_tcat.nidq.xd_8_3_0.txt")
    assert (found.format, found.line(None).tolist()) == ("spikeglx", [0.502113, 1.002127, 1.502141])


@pytest.mark.parametrize("head", ["", "time,marker\n", "timestamp;value\n"])
def test_markers(tmp_path: Path, head: str) -> None:
    mark = ";" if ";" in head else ","
    rows = [("812.25", "sync"), ("813.25", "cue, left"), ("814.25", "sync")]
    body = "".join(f'{time}{mark}"{text}"\n' for time, text in rows)
    (tmp_path / "m.csv").write_text(head + body)
    found = read_events(tmp_path / "m.csv")
    assert (found.format, found.line("sync").tolist()) == ("lsl", [812.25, 814.25])
    assert found.line("cue, left").tolist() == [813.25]


def test_any_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("trial\ttime\tstate\n1\t2.5\t1\n1\t2.6\t0\n2\t1.5\t1\n")
    found = read_events(tmp_path / "t.csv")
    assert (found.format, found.line(None).tolist()) == ("csv", [1.5, 2.5])


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        ("", None, "is empty"),
        ("1.0\nnan\n", None, "expected finite times"),
        ("1.0\nx\n", None, "row 2: expected a number for the time, got 'x'"),
        ("a,b\n1,2\n", None, "no column of times"),
        ("1.0,2.0,3.0\n", "spikeglx", "expected one time a line"),
        ("line,state,timestamp\n1,0,2.0\n", None, "no rising edge"),
        ("line,state,timestamp\n1,1\n", None, "expected a number for the timestamp, got nothing"),
        ("line,state,sample_number\n1,1,7\n", None, "--rate-hz"),
        ("\0\0\0", None, "row|cannot be read|no column"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: str, format: str | None, message: str) -> None:
    (tmp_path / "e.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_events(tmp_path / "e.csv", format)


def test_arrays_that_are_no_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        read_events(tmp_path / "none")
    with pytest.raises(UserError, match="expected one TTL folder"):
        read_events(tmp_path)
    folder = ttl_folder(tmp_path / "a", states=STATES, timestamps=SECONDS[:3])
    with pytest.raises(UserError, match="6 states and 3 times"):
        read_events(folder)
    objects = ttl_folder(tmp_path / "b", states=STATES)
    np.save(objects / "timestamps.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        read_events(objects)
    (objects / "timestamps.npy").write_bytes(b"nothing of numpy")
    with pytest.raises(UserError, match="cannot be read"):
        read_events(objects)
