"""Files that a session names, found from wherever the session is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
        What exists: the path itself, then relative to where the run was started, then beside the session and
        in the folders above it, by as much of the path as is there. So a project is found that was moved as
        a whole.
    """
    path = Path(recorded)
    places = [path]
    if session.info.started_in:
        places.append(Path(session.info.started_in) / path)
    parts = path.parts[1:] if path.is_absolute() else path.parts
    folder = session.path.resolve()
    for above in (folder, *folder.parents):
        # A last name alone, such as `package`, says too little.
        places += [above.joinpath(*parts[begin:]) for begin in range(max(1, len(parts) - 1))]
    seen = set()
    for place in places:
        if place not in seen and place.exists():
            yield place
        seen.add(place)
