"""Files that a session names, found from wherever the session is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rt_pose.package import MANIFEST
from rt_pose.session.read import Session


def places_of(session: Session, recorded: str) -> Iterator[Path]:
    """Iterate over the places where a file or folder that a session names may be now.

    Parameters
    ----------
    session
        The session.
    recorded
        The path as the session has it.

    Yields
    ------
    Path
        See `find_places`.
    """
    yield from find_places(session.path, session.info.started_in, recorded)


def find_places(session: Path, started_in: str, recorded: str) -> Iterator[Path]:
    """Iterate over the places where a file or folder that a session's description names may be now.

    Parameters
    ----------
    session
        The session's folder.
    started_in
        The folder in which the run was started; empty where it is not known.
    recorded
        The path as the description has it.

    Yields
    ------
    Path
        What exists: the path itself, then relative to where the run was started, then beside the session and
        in the folders above it, by as much of the path as is there. So a project is found that was moved as
        a whole.
    """
    path = Path(recorded)
    places = [path]
    if started_in:
        places.append(Path(started_in) / path)
    parts = path.parts[1:] if path.is_absolute() else path.parts
    folder = session.resolve()
    for above in (folder, *folder.parents):
        # A last name alone, such as `package`, says too little.
        places += [above.joinpath(*parts[begin:]) for begin in range(max(1, len(parts) - 1))]
    seen = set()
    for place in places:
        if place not in seen and place.exists():
            yield place
        seen.add(place)


def manifest_name(camera: str = "") -> str:
    """Name the manifest of a model in a deposit of a session.

    Parameters
    ----------
    camera
        The camera that had the model for itself; empty for the run's.

    Returns
    -------
    str
        A file's name.
    """
    return f"{camera}.{MANIFEST}" if camera else MANIFEST
