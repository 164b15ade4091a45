"""The configurations that come with rt-pose, in a wheel as in a clone (`configs/`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "configs"
SUFFIX = ".yaml"


@dataclass(frozen=True)
class Shipped:
    """A configuration that comes with rt-pose."""

    name: str
    """As a user writes it, e.g. `video.yaml` or `train/mirror-mouse.yaml`."""
    path: Path
    about: str
    """Its first sentence."""


def shipped_configs() -> list[Shipped]:
    """List every configuration that comes with rt-pose.

    Returns
    -------
    list[Shipped]
        Sorted by depth of their folder, then by path.
    """
    files = sorted(FOLDER.rglob(f"*{SUFFIX}"), key=lambda path: (len(path.parts), path))
    return [Shipped(path.relative_to(FOLDER).as_posix(), path, _first_sentence(path)) for path in files]


def find_shipped(name: str) -> Path | None:
    """Find the file of a configuration that comes with rt-pose.

    Parameters
    ----------
    name
        Its name, which may lack `.yaml` and may begin with `configs/`.

    Returns
    -------
    Path or None
        None where there is none of that name.
    """
    wanted = name.removeprefix("./").removeprefix("configs/").removesuffix(SUFFIX) + SUFFIX
    return next((config.path for config in shipped_configs() if config.name == wanted), None)


def _first_sentence(path: Path) -> str:
    """Get the first sentence of the comment that a file begins with; empty where there is none."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    sentence, stop, _ = " ".join(comment).partition(". ")
    return sentence + stop.strip()
