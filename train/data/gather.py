"""Several sets of labels as one, their keypoints matched by name: data sets, or cameras of one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rt_pose.errors import UserError
from train.data.dlc_project import merge_tables
from train.data.source import Images, Source


def gather(path: Path, parts: Mapping[str, tuple[Path, Source]]) -> Source:
    """Join sources to one, which has every keypoint that any of them has.

    Parameters
    ----------
    path
        What messages call it.
    parts
        Of each set by its name, which then begins its images' names: its folder, and its labels.

    Returns
    -------
    Source
        A keypoint that a set does not have is unlabeled in its images.
    """
    sources = {name: source for name, (_, source) in parts.items()}
    keypoints = list(dict.fromkeys(k for source in sources.values() for k in source.table.keypoints))
    problems: list[str] = []
    tables = []
    for name, source in sources.items():
        problems += [f"{name}: {problem}" for problem in source.problems]
        tables.append(
            replace(
                source.table,
                names=[f"{name}/{own}" for own in source.table.names],
                places=[f"{name}: {place}" for place in source.table.places],
            )
        )
    bones = [bone for source in sources.values() for bone in source.skeleton]
    gathered = Source(
        path,
        merge_tables(keypoints, tables, problems),
        problems,
        lambda: _read_images(gathered, sources),
        [list(bone) for bone in dict.fromkeys(map(tuple, bones))],
        [f"{name}: {note}" for name, source in sources.items() for note in source.notes],
    )
    for name, (folder, source) in parts.items():
        missing = [k for k in keypoints if k not in source.table.keypoints]
        inner = source.sets or {"": folder}
        for own, place in inner.items():
            at = f"{name}/{own}" if own else name
            gathered.sets[at] = place
            gathered.lacking[at] = [*missing, *source.lacking.get(own, [])]
        if missing:
            gathered.notes.append(f"{name} has no {', '.join(missing)}: nothing is learned of it from there")
    return gathered


def check_blank(blank: str, lacking: Mapping[str, list[str]]) -> None:
    """Refuse to learn that what a set of labels has no column for cannot be seen in its images.

    Parameters
    ----------
    blank
        What a blank label means: unknown or absent.
    lacking
        The keypoints that each set does not have.

    Raises
    ------
    UserError
        Where blank labels are absent ones, and a set lacks a keypoint.
    """
    for name, missing in lacking.items():
        if blank == "absent" and missing:
            raise UserError(
                f"blank: absent: {name} has no {', '.join(missing)}, which would be learned as absent in all "
                f"of its images; set `blank: unknown`, add the columns, or leave them out (`--keypoints "
                f"{' '.join(f'-{k}' for k in missing)}`)"
            )


def _read_images(gathered: Source, sources: Mapping[str, Source]) -> tuple[Images, list[str]]:
    images: Images = []
    problems: list[str] = []
    for name, source in sources.items():
        before = len(source.notes)
        own, wrong = source.read_images()
        images += own
        problems += [f"{name}: {problem}" for problem in wrong]
        gathered.notes += [f"{name}: {note}" for note in source.notes[before:]]
    return images, problems
