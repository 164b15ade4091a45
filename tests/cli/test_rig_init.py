"""`rt-pose rig init` writes a rig that `rt-pose run` takes, and writes over nothing."""

from __future__ import annotations

import dataclasses
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.cli.main import main
from rt_pose.cli.rig_init import _chosen
from rt_pose.cli.rig_text import Part, Rig, rig_yaml
from rt_pose.config.build import default_of, load
from rt_pose.config.keys import keys_of
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import FoundDevice, cameras, outputs
from rt_pose.errors import UserError

rigs.register()


def test_without_questions(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package", keypoints=2)
    out = tmp_path / "mine.yaml"
    words = ["rig", "init", str(out), "--yes", "--model", str(tmp_path / "package")]
    words += [
        "--camera",
        "top=simulated",
        "--camera",
        "side=video:/films/a.mp4",
        "--output",
        "serial_ttl:12345",
        "--output",
        "rack=udp:5797",
    ]
    assert main(words) == 0
    config = load(RunConfig, out)
    assert {name: camera.driver for name, camera in config.cameras.items()} == {
        "top": "simulated",
        "side": "video",
    }
    assert config.cameras["side"].options == {"path": "/films/a.mp4"}
    assert config.outputs["output"].options == {"serial": "12345"}
    assert config.outputs["rack"].options == {"port": 5797}
    assert config.outputs["output"].limits.max_duty == 0.1
    assert config.model == str(tmp_path / "package")
    assert set(config.metadata) == {"subject", "protocol"}
    assert not config.armed_at_start
    text = out.read_text()
    assert "inside(k0, corner)" in text  # a keypoint of the model
    assert "# rate_hz: 60" in text  # what was not asked is there to be changed


def test_a_rig_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rig.yaml"
    out.write_text("mine")
    assert main(["rig", "init", str(out), "--yes", "--camera", "simulated", "--output", "none"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--camera", "simulatd"], "there is no camera driver 'simulatd', did you mean 'simulated'?"),
        (["--camera", "video"], "video: needs path; write video:PATH"),
        (["--camera", "a=simulated", "--camera", "a=simulated"], "'a' is there already"),
        (["--camera", "1=simulated"], "'1' cannot be a name"),
        (["--camera", "simulated:7"], "simulated: takes no serial number"),
        (["--camera", "simulated", "--model", "/none"], "/none"),
    ],
)
def test_what_cannot_be_says_why(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rig.yaml"
    assert main(["rig", "init", str(out), "--yes", "--output", "none", *words]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_without_a_terminal_it_wants_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["rig", "init", str(tmp_path / "rig.yaml")]) == 2
    assert "--yes" in capsys.readouterr().err


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    out = tmp_path / "rig.yaml"
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "rt_pose.cli", "rig", "init", str(out), "--camera", "simulated"),
            *("--output", "box=serial_ttl:/dev/ttyX", "--output", "stimulus=simulated"),
        ],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    # Lines of both outputs, model, four answers on the subject, two on the protocol.
    for answer in ("laser, shutter", "", "", "M-17", "mouse", "f", "", "reach", 'A. "B" C'):
        os.write(ours, f"{answer}\n".encode())
    assert program.wait(timeout=60) == 0
    os.close(ours)
    config = load(RunConfig, out)
    assert config.outputs["box"].lines == ["laser", "shutter"]
    assert config.outputs["box"].options == {"port": "/dev/ttyX"}
    assert config.metadata["subject"] == {"id": "M-17", "species": "mouse", "sex": "f", "date_of_birth": ""}
    assert config.metadata["protocol"] == {"name": "reach", "experimenter": 'A. "B" C'}


@pytest.mark.parametrize("driver", sorted(cameras()))
def test_every_option_of_a_camera_is_in_reach(driver: str) -> None:
    known = cameras()[driver]
    needed = any(default_of(f) is dataclasses.MISSING for f in dataclasses.fields(known.Options))
    part = Part("top", driver, known.Options, "x" if needed else "", getattr(known, "named_by", ""))
    text = rig_yaml(Rig([part], []), "rig.yaml")
    uncommented = "\n".join(
        line.replace("# ", "", 1) if "      # " in line else line for line in text.splitlines()
    )
    assert yaml.safe_load(text)["cameras"]["top"]["driver"] == driver
    for key in keys_of(cameras()[driver].Options):
        if key.type and "." not in key.name:  # no section
            assert f"{key.name}:" in uncommented


@pytest.mark.parametrize("driver", sorted(outputs()))
def test_every_output_can_be_written(driver: str) -> None:
    options = outputs()[driver].Options
    for device in ("", "x"):
        try:
            text = rig_yaml(Rig([], [Part("o", driver, options, device, lines=["laser"])]), "rig.yaml")
        except UserError:
            continue
        assert yaml.safe_load(text)["outputs"]["o"]["driver"] == driver
        return
    pytest.fail("neither with nor without a device")


def test_devices_are_chosen_by_their_numbers() -> None:
    found = [
        FoundDevice("simulated", "", "rendered"),
        FoundDevice("basler", "4711", "acA"),
        FoundDevice("av", "", "c"),
    ]
    answers = iter(["4", "x", "3, 2"])
    assert _chosen("camera", found, lambda question, default: next(answers)) == ["av", "basler:4711"]
    assert _chosen("camera", found, lambda question, default: default) == ["basler:4711", "av"]
    assert _chosen("camera", found[:1], lambda question, default: default) == ["simulated"]
    assert _chosen("output", found, lambda question, default: "0") == []
    with pytest.raises(UserError, match="no camera can be used here"):
        _chosen("camera", [], lambda question, default: default)
