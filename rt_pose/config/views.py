"""What a user writes of groups of views: cameras that see animals whose keypoints are placed in space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Units of lengths in a calibration, in mm."""
VIEWS_FOLDER = "views"
"""In a session's folder: there is a copy of each group's calibration in it."""


@dataclass
class ViewTrackingConfig:
    """Parameters of a group's filter in space."""

    speed: float | None = None
    """Usual speed of a keypoint along x, y and z, mm/s. Without it the model's own, keypoint by keypoint:
    what it was calibrated to in px, in mm at the place where the cameras look."""
    tau: str | None = None
    """For how long a velocity lasts, e.g. `100 ms`; without it the model's own."""
    gate: float = 9.21
    """Chi-square (2 degrees of freedom) beyond which a view's noise is inflated; 99 %."""
    restart_observations: int = 8
    """After so many observations beyond the gate in a row, a keypoint's track starts anew where two cameras
    agree."""
    start: str = "50 ms"
    """The two observations with which a track starts are no further apart."""
    lost: str = "500 ms"
    """Not seen within its gate for longer, a keypoint is lost."""


@dataclass
class ViewsConfig:
    """Cameras of the run that see the animals from several sides."""

    calibration: str
    """File of their calibration, as `rt-pose rig calibrate-cameras` and anipose write it."""
    cameras: list[str] | dict[str, str]
    """Cameras of this configuration, `[back, side, top]`, which have the same names in the calibration; or
    with the names that they have there, `{back: cam_0, side: cam_1}`."""
    late: str = "20 ms"
    """Of views that come out of order: an observation whose exposure is older than the newest by at most this
    is put in its place; an older one is counted as late and not used."""
    origin: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Where 0, 0, 0 is, in the calibration's own axes and unit."""
    up: list[float] | None = None
    """Direction that is up, in the calibration's axes: then z is the height. Without it the axes are the
    calibration's."""
    ahead: list[float] | None = None
    """With `up`: direction of x, as far as it lies in the floor; the calibration's own x where not given."""
    unit: str = "mm"
    """Of the lengths in the calibration: mm, cm or m. Everything that comes of it is in mm."""
    tracking: ViewTrackingConfig = field(default_factory=ViewTrackingConfig)
    """The filter in space."""

    @property
    def camera_names(self) -> dict[str, str]:
        """What each of its cameras is called in the calibration, in their order."""
        if isinstance(self.cameras, dict):
            return self.cameras
        return {name: name for name in self.cameras}


def place_calibrations(groups: Mapping[str, ViewsConfig], config_file: str | Path) -> None:
    """Set where the calibrations of groups are.

    Parameters
    ----------
    groups
        The groups; a file that is not there as written, but beside the configuration, is taken from there.
    config_file
        The configuration's file, or what stands for it.
    """
    for group in groups.values():
        beside = Path(config_file).parent / group.calibration
        if group.calibration and not Path(group.calibration).is_file() and beside.is_file():
            group.calibration = str(beside)


def copy_name(group: str) -> str:
    """Name the copy of a group's calibration.

    Parameters
    ----------
    group
        Name of the group.

    Returns
    -------
    str
        The file within `VIEWS_FOLDER`.
    """
    return f"{group}.toml"
