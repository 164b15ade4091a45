"""A session that version 0.1 recorded: replayed, reported, asked "what if", scored in hindsight."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcap.reader import make_reader
from support.old_version import V0_1, copy_session, differences, unpack

from rt_pose.cli.main import main
from rt_pose.session.describe import machine, versions

SETTINGS = (
    "rules.quick.hold=120 ms",
    "rules.likely.release=0.1",
    "tracking.lost_ms=100",
    "delays_ms.stimulus=20",
)
"""With these the earlier version made `answers/what_if.json`."""


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return copy_session(tmp_path)


def test_the_session_holds_every_kind_of_decision() -> None:
    """Read without the program's own reader: also the names of the records in the log are a contract."""
    messages: dict[str, list[Any]] = {}
    with (V0_1 / "session" / "log.mcap").open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages():
            messages.setdefault(channel.topic, []).append(msgspec.msgpack.decode(message.data))
    events = Counter((m["event"]["outcome"], m["event"]["reason"]) for m in messages["event"])
    suppressed = {reason for outcome, reason in events if outcome == "suppressed"}
    reasons = {"block", "inter-trial", "late", "disabled", "disarmed", "refractory", "cap", "lost"}
    assert suppressed == reasons
    assert {("fired", "condition"), ("fired", "late"), ("withheld", "control")} <= set(events)
    assert {e["event"]["block"] for e in messages["event"]} == {"baseline", "stimulation", "free"}
    given = [m["do"] for m in messages["control"]]
    assert given == ["start", "arm", "set", "mark", "set", "block", "set", "emergency", "arm"]
    assert len(messages["ack"]) == len(messages["command"]) == 56
    windows = Counter((m["camera"], m.get("window") is not None) for m in messages["observation"])
    assert windows == {("left", False): 147, ("right", True): 146, ("right", False): 3}


def same_but_for_the_program(session: Path) -> bool:
    """Whether processor and libraries are those that recorded the session."""
    info = read(session / "session.json")
    here = versions()
    there = {name: version for name, version in info["versions"].items() if name != "rt-pose"}
    return (
        all(here.get(name) == version for name, version in there.items())
        and info["machine"]["features"] == machine()["features"]
    )


def test_it_replays(session: Path) -> None:
    assert main(["replay", str(session)]) == 0
    answer = read(session / "replay.json")
    environment = ("replay.same_environment", "replay.largest_track_difference_px", "replay.bit_for_bit")
    assert differences(read(V0_1 / "session" / "replay.json"), answer, environment) == []
    assert answer["replay"]["identical"]
    largest = answer["replay"]["largest_track_difference_px"]
    # Another version of the program alone is no reason for another last bit.
    assert largest == 0 if same_but_for_the_program(session) else largest < 1e-6


def test_a_replay_that_differs_is_noticed(session: Path) -> None:
    """Rules of the same names that ask for something else."""
    info = read(session / "session.json")
    next(rule for rule in info["config"]["rules"] if rule["name"] == "quick")["when"] = (
        "speed(back) > 20 cm/s"
    )
    (session / "session.json").write_text(json.dumps(info))
    assert main(["replay", str(session)]) == 1
    assert read(session / "replay.json")["replay"]["differing"] > 0


def test_its_report_has_the_same_figures(session: Path) -> None:
    assert main(["report", str(session)]) == 0
    old = read(V0_1 / "session" / "report.json")
    assert differences(old, read(session / "report.json"), ("session.path",)) == []
    assert (session / "report.html").stat().st_size > 50_000


def test_what_would_have_been_and_hindsight(session: Path) -> None:
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    assert main(["replay", str(session), *words, "--hindsight"]) == 0
    old = read(V0_1 / "answers" / "what_if.json")
    assert differences(old["set"], read(session / "replay.json")["set"]) == []
    assert differences(read(V0_1 / "answers" / "hindsight.json"), read(session / "hindsight.json")) == []
    assert (session / "hindsight.html").is_file()


def test_its_film_goes_through_its_network_again(session: Path, tmp_path: Path) -> None:
    package = unpack("package_plain.tar.xz", tmp_path) / "package_plain"
    assert main(["replay", str(session), "--from-video", "--model", str(package)]) == 0
    poses = read(session / "replay.json")["from_video"]["poses"]
    assert (poses["frames"], poses["not_filmed"]) == (296, 0)
    assert poses["median_px"] < 0.5, "the film is compressed, the network is the same"
