"""A configuration that comes with rt-pose, copied with every shipped file that it refers to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_pose.config.edit import set_value
from rt_pose.config.files import read_config
from rt_pose.config.shipped import FOLDER, SUFFIX
from rt_pose.errors import UserError


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """One file of a copy."""

    out: Path
    """Where it stands."""
    text: str
    there: bool
    """Whether it stood there before, with the same content."""


def copy_shipped(source: Path, out: Path) -> list[CopiedFile]:
    """Copy a configuration, and beside it what it refers to.

    A file in a folder above the configuration's is written beside the copy, which then says so.

    Parameters
    ----------
    source
        A configuration that comes with rt-pose.
    out
        The copy.

    Returns
    -------
    list[CopiedFile]
        All of its files, the configuration first.

    Raises
    ------
    UserError
        Where a file is there already, and another one; nothing is written then. Where one cannot be written.
    """
    files = {out: source.read_text(encoding="utf-8")}
    _add_references(source, out, files)
    known = {path: _content(path) for path in files}
    others = [str(path) for path, text in files.items() if known[path] is not None and known[path] != text]
    if known[out] is not None:  # it may be the user's, however much it is like ours
        others = list(dict.fromkeys([str(out), *others]))
    if others:
        exist = "exists already" if len(others) == 1 else "exist already"
        raise UserError(f"configs copy: {', '.join(others)} {exist}; give another --out")
    copied = [CopiedFile(path, text, known[path] is not None) for path, text in files.items()]
    for one in copied:
        if not one.there:
            _write(one, below=out.parent)
    return copied


def _add_references(source: Path, out: Path, files: dict[Path, str]) -> None:
    """Add the shipped files that a configuration names, and lead its copy to theirs."""
    for path, name in _texts(read_config(source).plain):
        file = _shipped_file(source.parent / name)
        if file is None:
            continue
        beside = Path(file.name) if ".." in Path(name).parts else Path(name)
        if str(beside) != name:
            files[out] = set_value(files[out], path, beside.as_posix(), str(source))
        copy = out.parent / beside
        if copy not in files:
            files[copy] = file.read_text(encoding="utf-8")
            if file.suffix == SUFFIX:
                _add_references(file, copy, files)


def _texts(plain: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a configuration, with its keys."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from _texts(value, (*path, str(key)))
    elif isinstance(plain, list):
        for i, value in enumerate(plain):
            yield from _texts(value, (*path, str(i)))
    elif isinstance(plain, str):
        yield path, plain


def _shipped_file(path: Path) -> Path | None:
    """A file that comes with rt-pose; None where a text names none."""
    with suppress(OSError, ValueError):  # too long for a name, or no name at all
        found = path.resolve()
        if found.is_file() and found.is_relative_to(FOLDER.resolve()):
            return found
    return None


def _content(path: Path) -> str | None:
    """What stands in a file already; None where there is none."""
    if not path.exists():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _write(one: CopiedFile, below: Path) -> None:
    try:
        if one.out.parent != below:
            one.out.parent.mkdir(parents=True, exist_ok=True)
        with one.out.open("x", encoding="utf-8") as file:
            file.write(one.text)
    except OSError as error:
        raise UserError(
            f"configs copy: {one.out} cannot be written: {error.strerror}; give another --out"
        ) from error
