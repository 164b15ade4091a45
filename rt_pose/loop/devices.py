"""Opens the cameras, outputs and inputs of a configuration: each that can be had, and what is wrong with the
others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from rt_pose.config.schema import CameraConfig, InputConfig, OutputConfig, RunConfig
from rt_pose.drivers import Camera, DriverContext, Input, Output, make_camera, make_input, make_output
from rt_pose.errors import ErrorCollector
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.package import Package, check_frame_size
from rt_pose.types import CameraInfo, InputInfo, OutputInfo

Outputs = list[tuple[OutputInfo, Output]]
Inputs = list[tuple[InputInfo, Input]]
Cameras = dict[str, tuple[CameraInfo, Camera]]


def open_outputs(
    config: RunConfig, context: DriverContext, stack: ExitStack, errors: ErrorCollector
) -> Outputs:
    """Open the outputs.

    Parameters
    ----------
    config
        The run.
    context
        What the drivers of the run share.
    stack
        Gets what closes each of them.
    errors
        Gets what is wrong.

    Returns
    -------
    Outputs
        Those that could be opened, in the order of the configuration.
    """

    def open_one(name: str, wanted: OutputConfig) -> tuple[OutputInfo, Output]:
        output = make_output(name, wanted.driver, wanted.options, context)
        info = output.open()
        stack.callback(output.close)
        return info, output

    opened = [errors.run(partial(open_one, *item)) for item in config.outputs.items()]
    return [one for one in opened if one is not None]


def open_inputs(
    config: RunConfig, context: DriverContext, stack: ExitStack, errors: ErrorCollector
) -> Inputs:
    """Open the inputs, as `open_outputs` does the outputs.

    Parameters
    ----------
    config, context, stack, errors
        See `open_outputs`.

    Returns
    -------
    Inputs
        Those that could be opened, in the order of the configuration.
    """

    def open_one(name: str, wanted: InputConfig) -> tuple[InputInfo, Input]:
        line = make_input(name, wanted.driver, wanted.options, context)
        info = line.open()
        stack.callback(line.close)
        return info, line

    opened = [errors.run(partial(open_one, *item)) for item in config.inputs.items()]
    return [one for one in opened if one is not None]


def open_cameras(
    config: RunConfig,
    context: DriverContext,
    packages: Mapping[str, Package],
    stack: ExitStack,
    errors: ErrorCollector,
) -> Cameras:
    """Open the cameras, and compare their frames with what their networks take.

    Parameters
    ----------
    config, context, stack, errors
        See `open_outputs`.
    packages
        By camera, the package of its network; a camera without one gives what it likes.

    Returns
    -------
    Cameras
        Those that could be opened, by name, in the order of the configuration.
    """

    def open_one(name: str, wanted: CameraConfig) -> tuple[CameraInfo, Camera]:
        package = packages.get(name)
        its_context = dataclasses.replace(context, channels=channels_of(package))
        camera = make_camera(name, wanted.driver, wanted.options, its_context)
        info = camera.open()
        stack.callback(camera.close)
        if package is not None:
            check_frame_size(package, info.width, info.height, f"camera '{name}'")
        return info, camera

    if not config.cameras:
        errors.messages.append("configuration: cameras: at least one is needed; `rt-pose devices` lists them")
    opened = {name: errors.run(partial(open_one, name, wanted)) for name, wanted in config.cameras.items()}
    return {name: one for name, one in opened.items() if one is not None}


def rings_for(cameras: Cameras, stack: ExitStack) -> dict[str, FrameRing]:
    """Make shared memory for each camera's frames.

    Parameters
    ----------
    cameras
        The opened cameras.
    stack
        Gets what releases the memory, and what closes the cameras before that.

    Returns
    -------
    dict[str, FrameRing]
        By camera.
    """
    rings = {}
    for name, (info, camera) in cameras.items():
        rings[name] = FrameRing.create(info)
        # In this order a camera is closed before the memory that its thread writes into.
        stack.callback(rings[name].close)
        stack.callback(camera.close)
    return rings


def channels_of(package: Package | None) -> int | None:
    """Look up how many channels a network takes.

    Parameters
    ----------
    package
        Its package; None where none is known.

    Returns
    -------
    int or None
        1 or 3; None where no network is known.
    """
    return None if package is None else package.manifest.input.channels
