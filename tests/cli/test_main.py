"""The command line: help, bad input, and the verbs on small real input."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from rt_pose.cli.main import VERBS, main, parser_of
from rt_pose.config.build import to_plain

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "configs" / "demo.yaml"
HEAVY = ("numpy", "torch", "openvino", "nvidia", "cv2", "av", "PySide6", "pytorch_lightning", "zmq")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=9)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.avi", frames=20, rate_hz=50)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that must end as a user's mistake; what it said."""

    def run(*argv: str) -> str:
        try:
            status = main(argv)
        except SystemExit as leaving:  # the argument parser's own way out
            status = int(leaving.code or 0)
        messages = capsys.readouterr()
        assert status == 2, messages.err
        assert "Traceback" not in messages.err
        return " ".join(messages.err.split())

    return run


def test_help_answers_without_the_heavy_libraries() -> None:
    """What costs seconds to import is not imported to explain a verb: each in turn, in one new process."""
    program = f"""
import sys
from rt_pose.cli.main import VERBS, main
for argv in [[], *[verb.split() for verb in VERBS]]:
    before = set(sys.modules)
    try:
        main([*argv, "--help"])
    except SystemExit as leaving:
        assert not leaving.code, (argv, leaving.code)
    heavy = [name for name in {HEAVY!r} if name in sys.modules and name not in before]
    print("HEAVY", *argv, heavy)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("HEAVY ")]
    assert len(found) == 1 + len(VERBS)
    assert [line for line in found if not line.endswith(" []")] == []
    assert done.stdout.count("usage: rt-pose") == 1 + len(VERBS)


def test_no_verb_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "rt-pose demo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["run", "--sekunden", "2"], "--seconds"),
        (["train", "fit", "--stepss=3"], "--steps"),
        (["order", "arm", "--conect", "x"], "--connect"),
    ],
)
def test_an_unknown_option_names_the_nearest(fails: Callable[..., str], words: list[str], near: str) -> None:
    messages = fails(*words)
    assert f"did you mean {near}?" in messages
    assert messages.count("[--") <= 1, "no list of all options"


def test_the_folder_around_a_package(fails: Callable[..., str], package: Path, tmp_path: Path) -> None:
    around = tmp_path / "mouse"
    shutil.copytree(package, around / "package")
    messages = fails("run", "--camera", "sim", "--model", str(around))
    assert f"it is {around / 'package'}" in messages


def test_the_words_of_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "words"]) == 0
    assert "inside(keypoint, zone)" in capsys.readouterr().out


def test_an_unknown_verb(fails: Callable[..., str]) -> None:
    assert "rnu" in fails("rnu")


def test_missing_and_broken_configurations(fails: Callable[..., str], tmp_path: Path) -> None:
    assert "no such file" in fails("run", str(tmp_path / "none.yaml"))
    bad = tmp_path / "bad.yaml"
    bad.write_text("cameras: [")
    assert "not YAML" in fails("run", str(bad))
    bad.write_text("- 1")
    assert "expected keys and values" in fails("run", str(bad))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("budgt_ms: 3", "unknown key 'budgt_ms', did you mean 'budget_ms'?"),
        ("cameras: {top: {driver: simulated, option: {}}}", "unknown key 'cameras.top.option'"),
        ("rules: [{name: a, when: b, do: {output: c, puls: 1 ms}}]", "did you mean 'pulse'?"),
        ("rules: [{name: a, when: b, hold: 30, do: {output: c, pulse: 1 ms}}]", "has a unit, e.g. '30 ms'"),
        ("budget_ms: soon", "expected `float`, got `str`"),
        ("cameras: {top: {driver: simulatd}}", "no camera driver 'simulatd', did you mean 'simulated'?"),
        (
            "cameras: {top: {driver: simulated, options: {rate: 3}}}",
            "unknown key 'cameras.top.options.rate', did you mean 'rate_hz'?",
        ),
        ("outputs: {o: {driver: lazer}}", "no output driver 'lazer'"),
        ("cameras: {}", "cameras: at least one is needed"),
        ("cameras: {a/b: {driver: simulated}}", "cameras.a/b: 'a/b' cannot be a name"),
        (f"cameras: {{{'a' * 300}: {{driver: simulated}}}}", "200 at most"),
        ("zones: {two words: {circle: [1, 2, 3]}}", "zones.two words: 'two words' cannot be a name"),
        ("budget_ms: 0", "budget_ms: expected more than 0, got 0"),
        ("seconds: -1", "seconds: expected more than 0, got -1"),
        ("safety: {kill_after: 600 ms}", "a kill_after of 1 s or more, got '500 ms' and '600 ms'"),
        ("publish: {frame_rate_hz: .nan}", "publish.frame_rate_hz: expected a number, got nan"),
    ],
)
def test_bad_keys(fails: Callable[..., str], tmp_path: Path, package: Path, text: str, expected: str) -> None:
    path = tmp_path / "c.yaml"
    base = "" if text.startswith("cameras") else "cameras: {top: {driver: simulated}}\n"
    path.write_text(base + text)
    out = tmp_path / "out"
    assert expected in fails("run", str(path), "--model", str(package), "--out", str(out))
    assert not out.exists()


def test_videos_that_cannot_be_used(
    fails: Callable[..., str], tmp_path: Path, package: Path, mirror_mouse: Path
) -> None:
    whole = (mirror_mouse / "videos" / "test_vid.mp4").read_bytes()
    cut_mp4, cut_avi = tmp_path / "cut.mp4", tmp_path / "cut.avi"
    cut_mp4.write_bytes(whole[: len(whole) // 2])
    avi = write_clip(tmp_path / "whole.avi", frames=40, codec="mjpeg").read_bytes()
    cut_avi.write_bytes(avi[: len(avi) // 2])
    text = tmp_path / "notes.mp4"
    text.write_text("these are notes")
    cases = {
        "none": (tmp_path / "none.mp4", "no such file"),
        "text": (text, "not a video"),
        "mp4": (cut_mp4, "cut.mp4"),
        "avi": (cut_avi, "cut.avi"),
    }
    out, table = tmp_path / "out", tmp_path / "out.csv"
    for video, expected in cases.values():
        for messages in (
            fails("predict", "--model", str(package), "--video", str(video), "--out", str(table)),
            fails("bench", "latency", "--model", str(package), "--video", str(video), "--seconds", "1"),
        ):
            assert expected in messages
        assert not table.exists()
    cameras = {
        name: {"driver": "video", "options": {"path": str(video)}} for name, (video, _) in cases.items()
    }
    rig = tmp_path / "rig.yaml"
    rig.write_text(json.dumps({"cameras": cameras}))
    messages = fails("run", str(rig), "--model", str(package), "--out", str(out))
    for _, expected in cases.values():
        assert expected in messages
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "verb"), [("manifest.json", "predict"), ("network.onnx", "run"), ("golden.npz", "predict")]
)
def test_a_package_with_one_flipped_byte(
    fails: Callable[..., str], tmp_path: Path, package: Path, clip: Path, name: str, verb: str
) -> None:
    damaged = tmp_path / "package"
    shutil.copytree(package, damaged)
    raw = bytearray((damaged / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (damaged / name).write_bytes(raw)
    film = "--camera" if verb == "run" else "--video"
    out = tmp_path / "out.csv"
    messages = fails(verb, "--model", str(damaged), film, str(clip), "--out", str(out))
    assert f"{name} is damaged" in messages
    assert not out.exists()


def test_a_package_that_is_not_there(fails: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    assert "no such folder" in fails("run", "--model", str(tmp_path / "p"), "--camera", str(clip))
    assert "no model package was given" in fails("run", "--camera", str(clip))


def test_ports_in_use(fails: Callable[..., str], tmp_path: Path, package: Path) -> None:
    with socket.socket() as taken, socket.socket() as other:
        addresses = {}
        for key, place in (("publish.address", taken), ("publish.control", other)):
            place.bind(("127.0.0.1", 0))
            place.listen()
            addresses[key] = f"tcp://127.0.0.1:{place.getsockname()[1]}"
        ports = [word for key, address in addresses.items() for word in (f"--{key}", address)]
        messages = fails(
            "run", "--camera", "sim", "--model", str(package), *ports, "--out", str(tmp_path / "out")
        )
    for key, address in addresses.items():
        assert f"{key}: {address} is in use" in messages
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there(
    fails: Callable[..., str], tmp_path: Path, package: Path, clip: Path
) -> None:
    from rt_pose.inference.device import cuda_devices

    if cuda_devices():
        pytest.skip("this machine has a GPU")
    table = tmp_path / "out.csv"
    common = ("--model", str(package), "--engine.device", "gpu")
    assert "'gpu' was asked for" in fails("run", str(DEMO), *common, "--out", str(tmp_path / "out"))
    assert "'gpu' was asked for" in fails("predict", *common, "--video", str(clip), "--out", str(table))
    assert not (tmp_path / "out").exists()
    assert not table.exists()


@pytest.mark.parametrize("spec", ["lazercam", "bazler:123"])
def test_camera_specs_that_name_nothing(fails: Callable[..., str], package: Path, spec: str) -> None:
    messages = fails("run", "--model", str(package), "--camera", spec)
    assert "expected sim, the path of a recording" in messages


@pytest.mark.parametrize("verb", ["replay", "report"])
def test_no_session(fails: Callable[..., str], tmp_path: Path, verb: str) -> None:
    assert "session" in fails(verb, str(tmp_path / "none"))


def test_labels_that_cannot_be_used(fails: Callable[..., str], tmp_path: Path) -> None:
    header = "scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n"
    cases = {
        header: "not one labeled image",
        header + "labeled-data/none.png,1,2\n": "labeled-data/none.png",
        "scorer,me,me,me\nbodyparts,nose,nose,tail\ncoords,x,y,x\n" + "a.png,1,2,3\n": "tail",
        "": "CollectedData.csv",
    }
    for text, expected in cases.items():
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        (folder / "CollectedData.csv").write_text(text)
        out = tmp_path / "training"
        messages = fails(
            "train", "fit", "--data", str(folder), "--out", str(out), "--network.backbone", "tiny"
        )
        assert expected in messages
        assert not out.exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--seeds", "4"], "one network is no ensemble"),
        (["--seeds", "0,one"], "expected integers of 0 or more with commas between, got 'one'"),
        (["--jobs", "2"], "it is for `--seeds 0,1,2,3,4`"),
    ],
)
def test_seeds_that_make_no_ensemble(
    fails: Callable[..., str], tmp_path: Path, options: list[str], expected: str
) -> None:
    assert expected in fails(
        "train", "fit", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *options
    )


def test_a_folder_in_place_of_a_configuration_and_a_file_in_place_of_a_folder(
    fails: Callable[..., str], tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "training")]
    assert f"write --data {tmp_path}" in fails("train", "fit", str(tmp_path), *out)
    for name, labels in (("config.yaml", "."), ("mouse.slp", "mouse.slp")):
        (tmp_path / name).write_text("")
        messages = fails("train", "fit", "--data", str(tmp_path / name), *out)
        assert f"--data {tmp_path} --labels {labels}" in messages


def test_predict_writes_a_table(package: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    assert main(["predict", "--model", str(package), "--video", str(clip), "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    assert lines[1].startswith("bodyparts,k0,k0,k0,k1")
    assert len(lines) == 3 + 20


def test_run_report_replay(fails: Callable[..., str], package: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "session"
    ports = ["--publish.address", "tcp://127.0.0.1:*", "--publish.control", "tcp://127.0.0.1:*"]
    words = ["--model", str(package), "--camera", f"video:{clip}", "--out", str(out), *ports]
    assert main(["run", *words]) == 0
    built = to_plain(parser_of("run").parse(words).config)
    info = json.loads((out / "session.json").read_text())
    assert info["config"] == built, "the process of the loop has the same"
    figures = json.loads((out / "report.json").read_text())
    assert figures["frames"]["captured"] > 0
    assert main(["replay", str(out)]) == 0
    assert main(["replay", str(out), "--set", "budget_ms=20", "--set", "tracking.lost_ms=100"]) == 0
    assert "did you mean 'budget_ms'" in fails("replay", str(out), "--set", "budgt_ms=3")
    assert main(["replay", str(out), "--hindsight"]) == 0
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert "every event and episode" in (out / "report.html").read_text()
    figures = json.loads((out / "report.json").read_text())
    assert figures["replay"]["replay"]["identical"] is True
    assert figures["hindsight"]["scores"]


def test_bench_latency_prints_a_table_and_one_json_line(
    package: Path,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.latency.program.PACED_S", 0.5)
    monkeypatch.setattr("bench.latency.program.BACK_TO_BACK_S", 0.2)
    file, out = tmp_path / "bench.json", tmp_path / "out"
    argv = ["bench", "latency", "--model", str(package), "--video", str(clip), "--seconds", "1"]
    compare = ["--compare", str(ROOT / "bench" / "results" / "2026-11-23-latency.json")]
    size = ["--size", "96x80", "--channels", "3"]
    assert main([*argv, "--rate", "80", "--json", str(file), "--out", str(out), *compare, *size]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(lines[-1])
    assert figures == json.loads(file.read_text()) == json.loads((out / "latency.json").read_text())
    assert any(line.startswith("| image to decision ") for line in lines)
    assert any("different machines" in line for line in lines)
    assert figures["latency_ms"]["exposure_to_decision"]["n"] > 10
    recording, reference = figures["bench"]["recording"], figures["bench"]["reference"]
    assert (recording["width"], recording["height"], recording["channels"]) == (96, 80, 3)
    assert reference["kind"] == "alternate"
    assert reference["bare_ms"]["paced"]["n"] > 40, "of more than one block"
    page = (out / "latency.html").read_text()
    for heading in ("Over time", "Distribution", "Stages", "What was dropped", "Compared"):
        assert heading in page
    assert page.count("<svg") == 3
    assert "src=" not in page


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--rate", "0"], "--rate"),
        (["--rate", "-5"], "--rate"),
        (["--budget", "0"], "--budget"),
        (["--seconds", "0.2"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--size", "640"], "--size"),
        (["--channels", "2"], "--channels"),
        (["--reference", "alternating"], "alternate"),
        (["--compare", "none.json"], "none.json"),
        (["--json", "none/at/all.json"], "there is no folder"),
    ],
)
def test_bench_latency_refuses_what_it_cannot_measure(
    fails: Callable[..., str], package: Path, clip: Path, flags: list[str], expected: str
) -> None:
    assert expected in fails("bench", "latency", "--model", str(package), "--video", str(clip), *flags)


def test_devices_lists_every_driver(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    messages = capsys.readouterr().out
    assert "camera  simulated" in messages
    assert "output  simulated" in messages
    assert "camera  video" in messages
