"""Every command of README and docs is one that its verb takes; those marked quick are run."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import few_drivers
from support.pages import BLOCKS, COMMANDS, PAGES, ROOT, prose
from support.random_session import random_config, write_random_session

from rt_pose.cli.main import VERBS, main
from rt_pose.extras import EXTRAS

OF_OURS = [(block, c) for block in BLOCKS for c in block.commands if c.startswith("rt-pose ")]
OTHERS = [(block, c) for block in BLOCKS for c in block.commands if not c.startswith("rt-pose ")]
MADE_BY_THE_READER = {"mine.yaml": "configs/demo.yaml"}
"""Files of the reader's own, and what stands in for them."""


def names(pairs: list[tuple[object, str]]) -> list[str]:
    return [f"{getattr(block, 'page')}:{command[:70]}" for block, command in pairs]  # noqa: B009


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: the clone's configurations and examples, and files of the reader's own."""
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, stand_in in MADE_BY_THE_READER.items():
        shutil.copy(ROOT / stand_in, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the session that the pages speak of: made keypoints, judged by the real loop. To be
    copied."""
    config = random_config(np.random.default_rng(3))
    reach = replace(
        config.rules[0], name="reach", when="speed(nose) > 150", probability=0.8, release=None, enabled=True
    )
    config = replace(config, rules=[reach], protocol=[], armed_at_start=True)
    folder = tmp_path_factory.mktemp("sessions")
    write_random_session(folder / "first", seed=3, config=config, calm=True)
    return folder


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)[1:]


def code_of(words: list[str]) -> int:
    """The exit code of a command line, however it ends."""
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


def verb_of(words: list[str]) -> str | None:
    return next((v for v in VERBS if words[: len(v.split())] == v.split()), None)


def test_there_are_commands_to_look_at() -> None:
    assert len(OF_OURS) > 40
    assert {verb_of(words_of(command)) for _, command in OF_OURS} >= set(VERBS) - {"demo"} - NOT_SHOWN


NOT_SHOWN: set[str] = set()
"""Verbs that no page shows."""


@pytest.mark.parametrize(("block", "command"), OF_OURS, ids=names(OF_OURS))
@pytest.mark.usefixtures("folder")
def test_a_verb_takes_it(block: object, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb's own parser and configuration take the command as it is written."""
    words = words_of(command)
    if words == ["--version"] or "--help" in words:
        assert code_of(words) == 0
        return
    verb = verb_of(words)
    assert verb is not None, f"no verb: {command}"
    taken: list[object] = []

    def take(options: object) -> int:
        """Instead of doing it."""
        taken.append(options)
        return 0

    monkeypatch.setitem(VERBS, verb, (VERBS[verb][0], take))
    assert main(words) == 0
    assert len(taken) == 1


QUICK = list({c: (block, c) for block, c in OF_OURS if block.mark == "quick"}.values())
"""Each once, on however many pages it stands."""


@pytest.mark.parametrize(("block", "command"), QUICK, ids=names(QUICK))
def test_quick_ones_run(
    block: object,
    command: str,
    folder: Path,
    first: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = words_of(command)
    if words[0] in ("devices", "doctor"):
        few_drivers.only(monkeypatch, "simulated", "serial_ttl")
    if "sessions/first" in command:
        shutil.copytree(first, folder / "sessions")
    code = code_of(words)
    messages = capsys.readouterr()
    # `doctor` is to find faults of the machine, and says so by its exit code.
    assert code in ({0, 1} if words[:1] == ["doctor"] else {0}), messages.err
    assert messages.out.strip()


@cache
def known_options(verb: str) -> set[str]:
    """Those that the help of a verb speaks of."""
    expected = io.StringIO()
    with contextlib.redirect_stdout(expected):
        assert code_of([*verb.split(), "--help"]) == 0
    return set(re.findall(r"(?<![\w-])--[\w.-]*\w", expected.getvalue()))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_of_a_verb_in_running_text_is_known(page: Path) -> None:
    """Where a verb and its options stand in one piece of code."""
    for text in re.findall(r"`(rt-pose [^`]+)`", prose(page)):
        words = text.split()[1:]
        verb = verb_of(words)
        if verb is None:
            assert words[0].startswith("--") or any(v.startswith(f"{words[0]} ") for v in VERBS), text
            continue
        for option in [word for word in words if word.startswith("--")]:
            assert option.split("=")[0] in known_options(verb), text


@pytest.mark.parametrize(("block", "command"), OTHERS, ids=names(OTHERS))
def test_commands_that_are_not_ours(block: object, command: str) -> None:
    """Targets of make, modules, files and extras that they name are there."""
    words = shlex.split(command)
    match words:
        case [variable, "rt-pose", *rest] if "=" in variable:
            assert verb_of(rest)
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case ["python", "-m", "pytest", *paths]:
            assert all((ROOT / path).exists() for path in paths)
        case ["python", "-m", module, *_]:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
        case ["python", file, *_]:
            assert (ROOT / file).is_file()
        case ["pip", "install", "."] | ["source", ".venv/bin/activate"]:
            pass
        case (
            ["sudo", "apt" | "udevadm", *_]
            | ["apt", "install", *_]
            | ["openssl" | "echo", *_]
            | ["export", _]
        ):
            pass
        case ["pip", "install", extra] if extra.startswith("rt-pose["):
            assert extra[len("rt-pose[") : -1] in EXTRAS
        case ["pytest", path]:
            assert (ROOT / path).is_dir()
        case ["pip", "install", path]:
            assert (ROOT / path / "pyproject.toml").is_file()
        case _:
            pytest.fail(f"what is to be tested of this command? {command}")


SHORTER = {r"\b1\.0\b": "0.1", r"\b1000\b": "100", r"range\(300\)": "range(30)"}
"""In programs that wait for others: s, ms, and how often they send."""


def test_a_block_of_python_runs(folder: Path, first: Path) -> None:
    """Those that are written in a page, not taken from a file."""
    shutil.copytree(first, folder / "sessions")
    programs = [b for b in BLOCKS if b.language == "python" and "--8<--" not in b.text]
    assert programs
    for block in programs:
        text = block.text
        for wait, less in SHORTER.items():
            text = re.sub(wait, less, text)
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block.page}:{block.line}\n{done.stderr}"
        assert done.stdout


def long_block(text: str, recordings: str = "") -> list[Any]:
    return [COMMANDS.Block("page.md", 1, "", "long", recordings, text)]


def test_the_long_ones_go_on_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = long_block("echo one >> made.txt\nls mended.txt\n")
    folder = tmp_path / "commands"
    assert not COMMANDS.run_long(COMMANDS.Folder(folder), blocks)
    (folder / "mended.txt").touch()
    assert COMMANDS.run_long(COMMANDS.Folder(folder), blocks)
    assert (folder / "made.txt").read_text() == "one\n"
    printed = capsys.readouterr().out.splitlines()
    ends = [line.split()[2] for line in printed if line.endswith("echo one >> made.txt")]
    assert ends == ["ok", "before"]
    assert not (COMMANDS.Folder(folder, again=True).path / "made.txt").exists()


def test_commands_on_recordings_that_are_not_there_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = long_block("ls mice/film\n", "mice")
    monkeypatch.setenv("RT_POSE_DATA", str(tmp_path / "data"))
    folder = COMMANDS.Folder(tmp_path / "commands")
    assert COMMANDS.run_long(folder, blocks)
    assert "left out" in capsys.readouterr().out
    (tmp_path / "data" / "mice").mkdir(parents=True)
    (tmp_path / "data" / "mice" / "film").touch()
    assert COMMANDS.run_long(folder, blocks)
    assert "left out" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no call of this program made"):
        COMMANDS.Folder(tmp_path / "data")
