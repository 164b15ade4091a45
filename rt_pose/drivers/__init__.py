"""The contracts of cameras, outputs and inputs, and the registry that `rigs` and other packages fill.

A driver is one file: a class with a typed `Options` dataclass, registered under its name. It stands in
`rigs/cameras/`, `rigs/outputs/` or `rigs/inputs/`, or in any installed package that names it as an entry
point of the group `rt_pose.cameras`, `rt_pose.outputs` or `rt_pose.inputs`. Vendor packages are imported
inside `find` and `open`, never at the top."""

from rt_pose.drivers.contract import (
    CONTRACT,
    NO_FRAME_YET,
    Camera,
    CameraFault,
    CameraInSpace,
    ClockedCamera,
    DriverContext,
    FailedFrame,
    FoundDevice,
    Grabbed,
    Input,
    NoFrameYet,
    OperatedInput,
    Output,
    ReportingInput,
    WatchedOutput,
)
from rt_pose.drivers.registry import (
    camera_driver,
    cameras,
    input_driver,
    inputs,
    make_camera,
    make_input,
    make_output,
    output_driver,
    outputs,
    report_broken,
    report_drivers,
)
from rt_pose.drivers.search import find_devices

__all__ = [
    "CONTRACT",
    "NO_FRAME_YET",
    "Camera",
    "CameraFault",
    "CameraInSpace",
    "ClockedCamera",
    "DriverContext",
    "FailedFrame",
    "FoundDevice",
    "Grabbed",
    "Input",
    "NoFrameYet",
    "OperatedInput",
    "Output",
    "ReportingInput",
    "WatchedOutput",
    "camera_driver",
    "cameras",
    "find_devices",
    "input_driver",
    "inputs",
    "make_camera",
    "make_input",
    "make_output",
    "output_driver",
    "outputs",
    "report_broken",
    "report_drivers",
]
