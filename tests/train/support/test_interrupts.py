"""Ctrl-C and SIGTERM in trainings: all processes end, the last checkpoint stays, nobody sees a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
import yaml
from support.labeled_folder import make_labeled_folder

from rt_pose.offline.prediction_record import exclusive_lock
from train.config import NetworkConfig, TrainConfig
from train.fitting.ensemble_member import LOCK, member_of
from train.fitting.parallel_jobs import run_in_parallel

pytestmark = pytest.mark.timeout(500)
SETTINGS = {
    "network": {"backbone": "tiny", "width": 64, "height": 64, "head_width": 8},
    "optimiser": {"backbone_factor": 1.0, "freeze_backbone_steps": 0},
    "steps": 100_000,
    "validate_every": 5,
    "threads": 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_labeled_folder(tmp_path_factory.mktemp("ctrl-c") / "discs", frames=16)


def _begin(words: list[str], config: Path) -> subprocess.Popen[str]:
    """A program in a session of its own, as from a terminal."""
    return subprocess.Popen(
        [sys.executable, *words, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def _ctrl_c(
    process: subprocess.Popen[str],
    after_message: set[str],
    send: Callable[[int, int], None] = os.killpg,
    number: int = signal.SIGINT,
) -> list[str]:
    """Press it, or send another signal, once lines that begin so were said; all lines to the program's end.

    There is no traceback among them.
    """
    messages: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            messages.append(line.rstrip())
            after_message = {begin for begin in after_message if not line.startswith(begin)}
            if not after_message:
                send(process.pid, number)
                break
        rest, errors = process.communicate(timeout=400)
    finally:
        process.kill()
    assert "Traceback" not in rest + errors, rest + errors
    assert not after_message, (messages, errors)
    return messages + rest.splitlines()


def _step(out: Path) -> int:
    checkpoint = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    return int(checkpoint["global_step"])


@pytest.mark.usefixtures("warm_programs")
def test_a_sigterm_ends_a_training_as_ctrl_c_does(folder: Path, tmp_path: Path) -> None:
    """Lightning by itself would end it with status 0 and no package, which a cluster takes for success."""
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(yaml.safe_dump({**SETTINGS, "data": str(folder), "out": str(out)}))
    process = _begin(["-m", "rt_pose.cli", "train", "fit", "--config"], config)
    messages = _ctrl_c(process, {"step 5:"}, os.kill, signal.SIGTERM)
    assert process.returncode == 130
    assert any(f"stopped at step {_step(out)} of" in line for line in messages)


@pytest.mark.parametrize(("send", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)])
@pytest.mark.usefixtures("warm_programs")
def test_it_ends_every_process_of_an_ensemble(
    folder: Path, tmp_path: Path, send: Callable[[int, int], None], number: int
) -> None:
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text(yaml.safe_dump({**SETTINGS, "data": str(folder), "out": str(out)}))
    words = ["-m", "rt_pose.cli", "train", "fit", "--seeds", "0,1", "--jobs", "2", "--config"]
    process = _begin(words, config)
    messages = _ctrl_c(process, {"seed-0: step 5:", "seed-1: step 5:"}, send, number)
    assert process.returncode == 130
    assert {"seed-0: interrupted", "seed-1: interrupted"} <= set(messages)
    assert messages[-1] == "the same command once more resumes these"
    for name in ("seed-0", "seed-1"):
        with exclusive_lock(out / name, lock=LOCK):  # nobody is at it any more
            assert _step(out / name) >= 5
        assert "Traceback" not in (out / name / "training.log").read_text()


@pytest.mark.usefixtures("warm_programs")
def test_it_ends_all_who_train_together(folder: Path, tmp_path: Path) -> None:
    """Lightning's DDP on two CPU processes in place of GPUs: both after one step, and one of them speaks."""
    config, program, out = tmp_path / "config.yaml", tmp_path / "program.py", tmp_path / "out"
    config.write_text(yaml.safe_dump({**SETTINGS, "devices": 2, "data": str(folder), "out": str(out)}))
    program.write_text(f"""
import os, signal, sys
from pathlib import Path
import train.fitting.fit
from rt_pose.cli.main import main
train.fitting.inputs.check = lambda config: None  # two CPUs are no GPUs
deaf = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
rank = os.environ.get("LOCAL_RANK", "0")
Path({str(tmp_path)!r}, rank).write_text(f"{{os.getpid()}} {{deaf}}")
sys.exit(main(["train", "fit", "--config", sys.argv[1]]))
""")
    process = _begin([str(program)], config)
    # Only to the first: the other is deaf, whatever a terminal sends it, and must learn of it.
    messages = _ctrl_c(process, {"step 5:"}, os.kill)
    assert process.returncode == 130
    (stopped,) = [line for line in messages if "stopped at step " in line]
    assert stopped.startswith(f"stopped at step {_step(out)} ")
    second, blocked = (tmp_path / "1").read_text().split()
    assert blocked == "True"
    for _ in range(100):
        if not Path(f"/proc/{second}").exists():
            break
        threading.Event().wait(0.1)
    else:
        pytest.fail("the second process is still there")


@pytest.mark.alone  # spawned by a test process that was itself forked, it once did not hear of the signal
@pytest.mark.timeout(120)
def test_it_reaches_a_process_that_has_only_begun(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has not yet heard of members and logs, and would leave a traceback on the terminal."""
    config = replace(
        TrainConfig(data=str(folder), steps=100_000),
        network=NetworkConfig(backbone="tiny", width=64, height=64),
    )
    start = BaseProcess.start

    def start_and_press(process: BaseProcess) -> None:
        start(process)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    monkeypatch.setattr(BaseProcess, "start", start_and_press)
    (ended,) = run_in_parallel(config, [member_of(tmp_path, 0), member_of(tmp_path, 1)], 1)
    assert (ended.member.seed, ended.how) == (0, "interrupted")
    assert capfd.readouterr().err == ""
