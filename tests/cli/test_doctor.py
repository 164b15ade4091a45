"""`rt-pose doctor`: one fault is one line, and the exit status says whether experiments can run."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from support import few_drivers
from support.patience import PATIENCE_S

import rigs
from rt_pose import drivers
from rt_pose.cli import doctor
from rt_pose.cli.doctor import Check
from rt_pose.cli.main import main
from rt_pose.clock import HostClock
from rt_pose.drivers import registry, search
from rt_pose.errors import UserError


def by_name(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, object]]]:
    status = main(["doctor", "--json"])
    messages = json.loads(capsys.readouterr().out)
    assert messages["ok"] == (status == 0)
    return status, {check["what"]: check for check in messages["checks"]}


@pytest.fixture
def simulated_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    few_drivers.only(monkeypatch, "simulated")


def test_here_the_live_half_works(capsys: pytest.CaptureFixture[str]) -> None:
    status, checks = by_name(capsys)
    assert status == 0
    for what in ("libraries", "engine openvino", "compiled resize", "shared memory", "camera simulated"):
        assert checks[what]["works"], checks[what]


@pytest.mark.usefixtures("simulated_alone")
def test_a_line_a_check_and_one_that_says_whether_experiments_can_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["checks"]  # two drivers may see a device of one name
    assert main(["doctor"]) == 0
    messages = capsys.readouterr().out
    assert messages.rstrip().endswith("experiments can run here")
    assert len(messages.splitlines()) == len(listed) + 1


@pytest.mark.usefixtures("simulated_alone")
def test_a_port_in_use_is_told_and_is_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    socket: zmq.Socket[bytes]
    with zmq.Context.instance().socket(zmq.PUB) as socket:
        try:
            socket.bind("tcp://127.0.0.1:5790")
        except zmq.ZMQError:
            pytest.skip("port 5790 is in use by another program")
        status, checks = by_name(capsys)
    assert status == 0
    assert not checks["port publish.address"]["works"]
    assert "in use" in str(checks["port publish.address"]["found"])


@pytest.mark.usefixtures("simulated_alone")
def test_a_driver_that_fails_in_looking_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        @classmethod
        def find(cls) -> list[drivers.FoundDevice]:
            raise OSError("the vendor's library is of another architecture")

    rigs.register()
    monkeypatch.setitem(registry._CAMERAS, "broken", Broken)
    status, checks = by_name(capsys)
    assert status == 0
    assert "another architecture" in str(checks["camera broken"]["remedy"])
    assert checks["output simulated"]["works"]
    assert main(["devices"]) == 0
    messages = capsys.readouterr().out
    assert "camera  broken" in messages
    assert "not usable: OSError: the vendor's library" in messages
    assert "output  simulated" in messages


class RustPanic(BaseException):
    """What a library in another language may raise: no Exception."""


def _exits() -> list[drivers.FoundDevice]:
    sys.exit("no licence found")


def _panics() -> list[drivers.FoundDevice]:
    raise RustPanic("called `unwrap` on nothing")


def _breaks_off() -> Iterator[drivers.FoundDevice]:
    yield drivers.FoundDevice("broken", "1", "a camera")
    raise OSError("bus reset")


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "exits": (_exits, "SystemExit: no licence found"),
    "panics": (_panics, "RustPanic: called"),
    "breaks off": (_breaks_off, "OSError: bus reset"),
    "answers nothing": (lambda: None, "TypeError"),
    "answers nonsense": (lambda: ["a camera"], "AttributeError"),
    "hangs": (lambda: threading.Event().wait(2.0), "gave no answer within 1 s"),
}


@pytest.mark.usefixtures("simulated_alone")
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_driver_does_in_looking_the_others_are_found(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    find, problem = FAULTS[fault]
    monkeypatch.setattr(search, "FIND_S", 1.0 if fault == "hangs" else PATIENCE_S)
    monkeypatch.setitem(registry._CAMERAS, "broken", type("Broken", (), {"find": find}))
    found = {(kind, device.driver): device for kind, device in drivers.find_devices()}
    assert not found["camera", "broken"].usable
    assert problem in found["camera", "broken"].remedy
    assert found["camera", "simulated"].usable
    assert found["output", "simulated"].usable


@pytest.mark.usefixtures("simulated_alone")
def test_a_serial_number_that_is_a_number_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = drivers.FoundDevice("numbered", 4711, None)  # type: ignore[arg-type]
    monkeypatch.setitem(registry._CAMERAS, "numbered", type("Numbered", (), {"find": lambda: [device]}))
    status, checks = by_name(capsys)
    assert status == 0
    assert checks["camera numbered 4711"]["works"]


@pytest.mark.usefixtures("simulated_alone")
@pytest.mark.parametrize(
    "line", ["raise SystemExit('no SDK')", "import no_such_sdk", "1 +", "raise KeyError"]
)
def test_a_driver_that_cannot_be_imported_is_reported_and_the_others_serve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str
) -> None:
    (tmp_path / "vendor.py").write_text(line)
    monkeypatch.setattr(rigs.outputs, "__path__", [*rigs.outputs.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_BROKEN", {"camera": {}, "output": {}, "input": {}})
    status, checks = by_name(capsys)
    assert status == 0
    assert checks["output vendor"]["found"] == "cannot be loaded"
    assert checks["output vendor"]["remedy"]
    assert checks["output simulated"]["works"]
    assert main(["devices"]) == 0
    assert "vendor" in capsys.readouterr().out
    with pytest.raises(UserError, match="the output driver 'vendor' cannot be loaded: "):
        drivers.make_output("laser", "vendor", {}, drivers.DriverContext(HostClock()))


def test_a_check_that_fails_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def _weather() -> Iterator[Check]:
        yield Check("sun", True, "shines")
        raise RuntimeError("clouds")

    monkeypatch.setattr(doctor, "CHECKS", (_weather, doctor._room))
    found = {check.what: check for check in doctor.examine()}
    assert found["sun"].works
    assert (found["weather"].works, found["weather"].found) == (False, "RuntimeError: clouds")
    assert "disk" in found


@pytest.mark.usefixtures("simulated_alone")
def test_without_what_it_needs_no_experiment_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "LIVE", ("numpy", "no_such_library"))
    assert main(["doctor"]) == 1
    messages = capsys.readouterr().out
    assert "no_such_library" in messages
    assert "pip install --force-reinstall rt-pose" in messages
    assert "no experiment can run here: see libraries" in messages
