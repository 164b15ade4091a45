"""Small parts of an NWB file that several of its writers need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from rt_pose.offline.nwb_poses import name_for


class FurtherSeries(NamedTuple):
    """Values of each frame that ndx-pose has no place for."""

    name: str
    individual: str
    """Whose they are; empty of all, and where there is one."""
    values: NDArray[Any]
    """(F, ...)."""
    unit: str
    description: str


def object_name(base: str, camera: str, individual: str) -> str:
    """Name an object of one individual, as one camera saw it.

    Parameters
    ----------
    base
        What it is called in a file of one.
    camera
        Name of the camera, or of a group of cameras; empty in a file of one.
    individual
        Name of the individual; empty in a file of one, and of what is about all.

    Returns
    -------
    str
        The name.
    """
    return name_for(base, "_".join(filter(None, (camera, individual))))


def add_further(behavior: Any, series: Iterable[FurtherSeries], own: str, times: Any) -> None:
    """Add series beside the poses.

    Parameters
    ----------
    behavior
        The processing module.
    series
        The series.
    own
        Name of the camera or group, where the file holds several.
    times
        A series that has their times already.
    """
    from pynwb import TimeSeries

    for one in series:
        behavior.add(
            TimeSeries(
                name=object_name(one.name, own, one.individual),
                data=compressed(one.values),
                unit=one.unit,
                description=one.description,
                timestamps=times,
            )
        )


def compressed(values: NDArray[Any]) -> Any:
    """Compress an array.

    Parameters
    ----------
    values
        The array.

    Returns
    -------
    Any
        As pynwb writes it.
    """
    from pynwb import H5DataIO

    return H5DataIO(values, compression="gzip")
