"""`rt-pose bench triggers`: rules tried on a recording, through the live path, before an animal is there.

The recording plays at its own pace (or a stated one) into the loop that runs in an experiment, with frames
lost, jittered and late on purpose. Every event is then scored against a table that says where the animal was
in every frame, as `rt-pose replay --hindsight` scores a session. Nothing of the rig is touched: each output
is replaced by a simulated one with the delay that its options state, or 1 ms.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import rigs
from rigs.faults import FaultOptions
from rt_pose.audit import hindsight, hindsight_format
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.truth import smoothed_truth, table_truth
from rt_pose.clock import Clock, HostClock
from rt_pose.config.build import load
from rt_pose.config.schema import CameraConfig, OutputConfig, RecordConfig, RunConfig
from rt_pose.decisions.decide import make_rules
from rt_pose.errors import UserError
from rt_pose.offline.poses_csv import Poses, read_poses, reorder_keypoints
from rt_pose.offline.smooth import smooth_observations
from rt_pose.package import read_package
from rt_pose.reports import hindsight_page
from rt_pose.reports.session_report import frame_counts, make_report
from rt_pose.session.console import RunConsole, default_session
from rt_pose.session.read import Session
from rt_pose.session.run import run_session
from rt_pose.types import FloatArray

DELAY_MS = 1.0
CAMERA = "recording"
T = TypeVar("T")


def bench_triggers(options: dict[str, Any]) -> bool:
    """Run the dry run of the command line.

    Parameters
    ----------
    options
        The command line of `rt-pose bench triggers`.

    Returns
    -------
    bool
        Whether the run ended well.
    """
    clock = HostClock()
    poses = read_poses(Path(options["truth"]))
    rules = load(RunConfig, options["rules"])
    faults = options["config"].faults
    config = dry_config(rules, options["model"], options["video"], options["rate"], faults)
    xy = _truth(config, poses, Path(options["truth"]))
    out = Path(options["out"]) if options.get("out") else default_session(clock)
    figures, ok = dry_run(config, xy, out, clock, options["tolerance_ms"])
    if options.get("json"):
        Path(options["json"]).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures))
    return ok


def dry_config(
    config: RunConfig, model: str, video: str, rate_hz: float | None, faults: FaultOptions
) -> RunConfig:
    """Put the recording in place of a configuration's cameras, and simulated outputs in place of its outputs.

    Parameters
    ----------
    config
        The run; it is changed.
    model
        Folder of the model package.
    video
        The recording.
    rate_hz
        Frames/s; the recording's own where None.
    faults
        What goes wrong with frames on purpose.

    Returns
    -------
    RunConfig
        The same run.

    Raises
    ------
    UserError
        Where it has no rules, rules in space, or more than one geometry.
    """
    if not config.rules:
        raise UserError("bench triggers: the configuration has no rules, so there is nothing to try")
    if config.views:
        in_space = [f"rule '{rule.name}'" for rule in config.rules if rule.view]
        raise UserError(
            f"bench triggers: one recording shows nothing in space; leave out {', '.join(in_space)} and "
            "`views`. Rules in space are scored on a session: `rt-pose replay SESSION --hindsight`"
            if in_space
            else "bench triggers: one recording shows nothing in space; leave out `views`"
        )
    config.model = model
    config.cameras = {
        CAMERA: CameraConfig("video", {"path": video, "rate_hz": rate_hz, "faults": asdict(faults)})
    }
    for name, output in config.outputs.items():
        delay_ms = output.options.get("delay_ms", DELAY_MS)
        config.outputs[name] = OutputConfig(
            "simulated",
            {"delay_ms": delay_ms},
            output.lines,
            output.limits,
            aim=_of_recording(output.aim, f"outputs.{name}.aim"),
        )
    config.geometry = _of_recording(config.geometry, "geometry")
    config.publish.address = config.publish.control = "tcp://127.0.0.1:*"
    config.record = RecordConfig(video=False)
    config.armed_at_start, config.start_on = True, "launch"
    return config


def _of_recording(given: dict[str, T], what: str) -> dict[str, T]:
    """Get what is configured by camera, for the recording; UserError where it could be one of several."""
    if len(given) > 1:
        raise UserError(
            f"bench triggers: the configuration has a {what} for each of {', '.join(given)}; leave only "
            "that of the camera that the recording is of"
        )
    return dict.fromkeys((CAMERA,), next(iter(given.values()))) if given else {}


def dry_run(
    config: RunConfig, xy: FloatArray, out: Path, clock: Clock, tolerance_ms: float
) -> tuple[dict[str, Any], bool]:
    """Run the loop over the recording and score its rules.

    The session with its report and `hindsight.html` stays in `out`.

    Parameters
    ----------
    config
        What `dry_config` returned.
    xy
        (F, K, 2) px, where the animal was in each frame of the recording.
    out
        The session's folder.
    clock
        Times the supervision.
    tolerance_ms
        How far an event may be from the episode to which it belongs, ms.

    Returns
    -------
    tuple[dict[str, Any], bool]
        The figures, for JSON, and whether the run ended well.
    """
    with RunConsole() as console:
        result = run_session(config, out, rigs.register, clock, console)
    session = Session.read(out)
    truths = (
        table_truth(session, xy),
        smoothed_truth(session, ReplaySetup.of(session).tracking_of, smooth_observations),
    )
    found = [hindsight.score(session, truth, tolerance_ms) for truth in truths if truth]
    scores = hindsight_page.write(out, found)
    make_report(out)
    for one in found:
        print("\n".join(hindsight_format.format_hindsight(one)))
    frames = frame_counts(session)
    print(_predicted(frames, config))
    print(f"plots: {out / hindsight_page.PAGE_NAME}")
    faults = config.cameras[CAMERA].options["faults"]
    return {"session": str(out), "faults": faults, "frames": frames, **scores}, result.ok


def _truth(config: RunConfig, poses: Poses, path: Path) -> FloatArray:
    """The table in the order of the package's keypoints; UserError where a rule needs what it lacks."""
    keypoints = read_package(config.model).manifest.keypoints
    rules = make_rules(config, keypoints, dict.fromkeys(config.outputs, DELAY_MS))
    needed = {keypoints[k] for rule in rules for k in rule.keypoints}
    return reorder_keypoints(poses, keypoints, needed, f"poses {path}")


def _predicted(frames: dict[str, Any], config: RunConfig) -> str:
    faults = config.cameras[CAMERA].options["faults"]
    dropped = ", ".join(f"{stage} {n}" for stage, n in frames["dropped"].items()) or "none"
    return (
        f"frames: {frames['captured']} handed over, {frames['device_gaps']} lost by the camera (asked for: "
        f"{100 * faults['drop']:g} %), {frames['processed']} decided on; dropped on the way: {dropped}"
    )
