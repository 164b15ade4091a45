"""The lines that a client of another program needs, against a real run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.live_run import ScriptedObserver, config, run
from support.tiny_package import make_tiny_package

from rt_pose.session.read import Session

ROOT = Path(__file__).resolve().parents[2]
ORDER = ROOT / "examples" / "order.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path)
    return path


def test_it_arms_a_run_by_its_key_file_which_goes_with_the_run(package: Path, tmp_path: Path) -> None:
    answers: list[str] = []
    modes: list[int] = []

    def give(description: dict[str, Any]) -> None:
        keys = Path(description["addresses"]["keys"])
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in (keys, keys.parent))
        for do in ("arm", "mark", "stop"):
            done = subprocess.run(
                [sys.executable, str(ORDER), str(keys), do], capture_output=True, text=True, check=False
            )
            answers.append(done.stdout or done.stderr)

    watch = ScriptedObserver(give)
    result = run(config(package, seconds=60.0, armed_at_start=False), tmp_path / "session", watch)
    assert result.summary["reason"] == "stop ordered (control)"
    assert [control.do for control in Session.read(tmp_path / "session").controls] == ["arm", "stop"]
    assert "'ok': True" in answers[0]
    assert "mark: text: expected a text" in answers[1]
    assert modes == [0o600, 0o700]
    assert not Path(watch.description["addresses"]["keys"]).exists()


def test_the_key_file_of_a_loop_that_was_killed_goes_too(package: Path) -> None:
    watch = ScriptedObserver(lambda description: os.kill(loop_of(description), signal.SIGKILL))
    result = run(config(package, seconds=60.0), None, watch)
    assert result.status == "the loop died (exit code -9)"
    assert not Path(watch.description["addresses"]["keys"]).exists()


def loop_of(description: dict[str, Any]) -> int:
    import json

    return int(json.loads(Path(description["addresses"]["keys"]).read_bytes())["pid"])


def test_the_changelog_shows_the_same_lines() -> None:
    text = ORDER.read_text(encoding="utf-8")
    assert text[text.index("import json") :] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
