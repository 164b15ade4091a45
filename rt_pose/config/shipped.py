"""The configurations that come with rt-pose, in a wheel as in a clone (`configs/`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "configs"
SUFFIX = ".yaml"


@dataclass(frozen=True)
class Shipped:
    """One of them."""

    name: str
    """As a user writes it: `video.yaml`, `train/mirror-mouse.yaml`."""
    path: Path
    about: str
    """Its first sentence."""


def shipped_configs() -> list[Shipped]:
    """Every configuration that comes with rt-pose, by name."""
    files = sorted(FOLDER.rglob(f"*{SUFFIX}"), key=lambda path: (len(path.parts), path))
    return [Shipped(path.relative_to(FOLDER).as_posix(), path, _first_sentence(path)) for path in files]


def find_shipped(name: str) -> Path | None:
    """The file of a name, which may lack its `.yaml` and may begin with `configs/`; None: there is none."""
    wanted = name.removeprefix("./").removeprefix("configs/").removesuffix(SUFFIX) + SUFFIX
    return next((config.path for config in shipped_configs() if config.name == wanted), None)


def _first_sentence(path: Path) -> str:
    """Of the comment that a file begins with; nothing where there is none."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    sentence, stop, _ = " ".join(comment).partition(". ")
    return sentence + stop.strip()
