"""Commands of README and docs: tests parse all and run the quick, `make docs-commands` runs the long ones.

A fenced block without a language holds commands. An HTML comment on the line before it says more:

    <!-- quick -->            seconds: run by the tests, on small stand-ins for the reader's own files
    <!-- long -->             minutes: run here, in the order of the pages, on what the ones before have made
    <!-- long mirror-mouse -->  so too, where the folder `RT_POSE_DATA` has recordings of that name

Without a comment the commands are only parsed: they need the reader's own data, or a running loop.

    python docs/commands.py [--folder runs/docs-commands] [--small] [--again] [--list]

The folder keeps what the commands make, what each printed, and which of them have succeeded: called once more
it goes on with the others.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "runs" / "docs-commands"
STATE = "commands.json"
"""In the folder: seconds of every command that has succeeded."""
SMALL = {"rt-pose train fit ": "--steps 300 --validate_every 150"}
"""What `--small` adds to commands, by their beginning."""
TAIL = 2000
"""Characters shown of what a failed command has printed."""
_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[\w -]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    """Its path, relative to the repository."""
    line: int
    language: str
    mark: str
    """quick, long or empty."""
    recordings: str
    """The folder of recordings that it takes; empty for none."""
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines, continued ones joined; none in a block of a language."""
        if self.language:
            return []
        return [line.strip() for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def pages() -> list[Path]:
    """README and the pages of the site, in the order of its navigation."""
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    entries = [entry for section in navigation for entries in section.values() for entry in entries]
    names = [entry if isinstance(entry, str) else next(iter(entry.values())) for entry in entries]
    return [ROOT / "README.md", *(ROOT / "docs" / name for name in names)]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        name = page.relative_to(ROOT).as_posix()
        mark, _, recordings = (match["mark"] or "").partition(" ")
        yield Block(name, line, match["language"], mark, recordings, match["text"])


def all_blocks() -> list[Block]:
    """The blocks of README and all pages, in the order in which they are to be read."""
    return [block for page in pages() for block in blocks(page)]


class Folder:
    """Where the commands run, and what is known of those that have run there before."""

    def __init__(self, path: Path, again: bool = False) -> None:
        """Make the folder, with the clone's configurations and examples in it.

        Parameters
        ----------
        path
            The folder; one that exists must have been made by an earlier call.
        again
            Whether all that it holds is thrown away.
        """
        if path.exists() and any(path.iterdir()) and not (path / STATE).is_file():
            raise SystemExit(f"{path} holds files that no call of this program made; give another --folder")
        if again:
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.seconds: dict[str, float] = {}
        """By command, of those that have succeeded."""
        if (path / STATE).is_file():
            self.seconds = json.loads((path / STATE).read_text(encoding="utf-8"))
        self._save()
        for name in ("configs", "examples"):
            self._link(name, ROOT / name)

    def has_recordings(self, name: str) -> bool:
        """Put a folder of recordings in its place, from `RT_POSE_DATA`; whether it is there."""
        source = Path(os.environ.get("RT_POSE_DATA", "")).absolute() / name
        if "RT_POSE_DATA" in os.environ and source.is_dir():
            self._link(name, source)
        return (self.path / name).exists()

    def run(self, command: str) -> bool:
        """Run a command, print how long it took, and keep what it printed; whether it has succeeded."""
        binaries = Path(sys.executable).parent
        environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        log = self.path / "printed" / (re.sub(r"\W+", "-", command)[:80].strip("-") + ".txt")
        log.parent.mkdir(exist_ok=True)
        began = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                command, shell=True, cwd=self.path, env=environment, stdout=file, stderr=file, check=False
            )
        seconds = time.monotonic() - began
        report(seconds, "ok" if done.returncode == 0 else f"exit {done.returncode}", command)
        if done.returncode:
            print(log.read_text(encoding="utf-8", errors="replace")[-TAIL:], flush=True)
            return False
        self.seconds[command] = round(seconds, 1)
        self._save()
        return True

    def _link(self, name: str, target: Path) -> None:
        if not (self.path / name).is_symlink():
            (self.path / name).symlink_to(target)

    def _save(self) -> None:
        (self.path / STATE).write_text(json.dumps(self.seconds, indent=1) + "\n", encoding="utf-8")


def report(seconds: float | None, state: str, command: str) -> None:
    """Print a row: how long a command took, how it ended, and the command."""
    time_s = "" if seconds is None else f"{seconds:.1f} s"
    print(f"{time_s:>10}  {state:8} {command}", flush=True)


def sized(command: str, small: bool) -> str:
    """A command as it is written, or with the settings of `--small`."""
    added = next((more for verb, more in SMALL.items() if small and command.startswith(verb)), "")
    return f"{command} {added}" if added else command


def run_long(folder: Folder, found: list[Block], small: bool = False) -> bool:
    """Run the commands of the long blocks that have not succeeded before; whether all have by now."""
    well = True
    for block in found:
        if block.mark != "long":
            continue
        print(f"{block.page}:{block.line}")
        missing = block.recordings and not folder.has_recordings(block.recordings)
        for command in (sized(command, small) for command in block.commands):
            if missing:
                report(None, "left out", f"{command}   (RT_POSE_DATA has no {block.recordings})")
            elif command in folder.seconds:
                report(folder.seconds[command], "before", command)
            else:
                well &= folder.run(command)
    print(f"{sum(folder.seconds.values()):8.0f} s  in all")
    return well


def main() -> int:
    """Run what is long; 0 where all of it succeeded."""
    parser = argparse.ArgumentParser(description="Run the long commands of README and docs, each timed.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"Where they run; {FOLDER} if not given.")
    parser.add_argument("--small", action="store_true", help="Trainings on real data with few steps.")
    parser.add_argument("--again", action="store_true", help="Begin anew, with an empty folder.")
    parser.add_argument("--list", action="store_true", help="Only list the commands.")
    options = parser.parse_args()
    if options.list:
        for block in all_blocks():
            if block.mark == "long":
                print(f"{block.page}:{block.line}", *block.commands, sep="\n    ")
        return 0
    return 0 if run_long(Folder(options.folder.absolute(), options.again), all_blocks(), options.small) else 1


if __name__ == "__main__":
    sys.exit(main())
