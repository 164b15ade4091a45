"""Commands of README and docs: tests parse all and run the quick, `make docs-commands` runs the long ones.

A fenced block without a language holds commands. An HTML comment on the line before it says more:

    <!-- quick -->    seconds: run by the tests, on small stand-ins for the reader's own files
    <!-- long -->     minutes: run here, in the order of the pages, on what the commands before them have made

Without a comment the commands are only parsed: they need the reader's own data, or a running loop.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[\w ]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
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
        yield Block(name, line, match["language"], match["mark"] or "", match["text"])


def all_blocks() -> list[Block]:
    """The blocks of README and all pages, in the order in which they are to be read."""
    return [block for page in pages() for block in blocks(page)]


def _timed(command: str, folder: Path, binaries: Path) -> bool:
    """Run a command; print how long it took. Whether it succeeded."""
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    began = time.monotonic()
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    state = "ok" if done.returncode == 0 else f"exit {done.returncode}"
    print(f"{time.monotonic() - began:8.1f} s  {state:8} {command}", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr)[-2000:], flush=True)
    return done.returncode == 0


def run_long(folder: Path) -> bool:
    """The long blocks in a folder that has the clone's own configurations and examples."""
    for name in ("configs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    well = True
    for block in all_blocks():
        if block.mark == "long":
            print(f"{block.page}:{block.line}")
            for command in block.commands:
                well &= _timed(command, folder, Path(sys.executable).parent)
    return well


def main() -> int:
    """Run what is long; 0 where all of it succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        return 0 if run_long(Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
