"""Candidates against the highest peak, on a recording of another session than the network's.

    python -m bench.candidates --model PACKAGE --video VIDEO --data FOLDER \
        [--other VIDEO --networks FOLDER] --work FOLDER [--out STEM]

The keypoints are the paws of a mouse that is seen from the side and, in a mirror, from below. Without labels
(VIDEO) a choice is scored by what cannot be: steps of more than 20 px in a frame, and views of one paw that
are more than 20 px apart along x. With labels (FOLDER) by those that training kept back, each frame by
itself. On the other session by the median of several networks, where all but one of them lie within 10 px of
it. What is compared: the highest peak and the filter as they are; candidates chosen by the pose prior; by the
filter's prediction too; and by predictions from before and after, which only a recording has. The best
candidate of each keypoint shows what is left to be won. Weights are set on VIDEO and FOLDER; the other
session is left out of the command line until then. What the network gave is kept in --work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.candidates.found import Network, agreed_median, kept_back
from bench.candidates.page import table
from bench.candidates.score import compare, impossible, percentiles
from bench.candidates.ways import Rules, choose_by_prior, take_highest, take_nearest, variants
from bench.output import conditions
from bench.program import Out, run
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.tracking.candidate_choice import ChoiceSpec
from rt_pose.video import probe

VIEWS = ("_top", "_bot")
"""Ends of the names of keypoints that are seen from the side, and from below."""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package, calibrated (`rt-pose train calibrate`)"]
    video: Annotated[Path, "a recording without labels"]
    data: Annotated[Path, "the labeled folder that it was trained on"]
    other: Annotated[Path | None, "a recording of another session"] = None
    networks: Annotated[Path | None, "folder of CSVs: predictions of several networks on it"] = None
    frames: Annotated[int, "frames of the other session"] = 500
    work: Annotated[Path, "folder where the network's output is kept"]
    mass: Annotated[float, "weight of a candidate's mass"] = ChoiceSpec.mass
    limit: Annotated[float, "limit of a squared distance, chi-square"] = ChoiceSpec.limit_chi2
    exclusion_px: Annotated[float, "within which two paws are on one peak"] = ChoiceSpec.exclusion_px
    exclusion_cost: Annotated[float, "of that"] = ChoiceSpec.exclusion_cost
    none_cost: Annotated[float, "more than this against it, and a keypoint has no candidate"] = (
        ChoiceSpec.none_cost
    )
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure all ways of choosing.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        Where the package has no paws in two views, or a file cannot be read.
    """
    package = read_package(options.model)
    keypoints = package.manifest.keypoints
    paws = paws_of(keypoints)
    spec = ChoiceSpec(
        mass=options.mass,
        limit_chi2=options.limit,
        exclusion_px=options.exclusion_px,
        exclusion_cost=options.exclusion_cost,
        none_cost=options.none_cost,
    )
    options.work.mkdir(parents=True, exist_ok=True)
    network = Network(package, options.work)
    tracking = package.manifest.tracking
    rules = Rules(tracking, paws, spec)

    found = network.on_video(options.video, probe(options.video).frames)
    every = variants(found, rules, probe(options.video).rate_hz)
    labeled = kept_back(package, options.data)
    still = network.on_images(labeled)
    alone = {"highest peak": take_highest(still), "candidates, prior": choose_by_prior(still, rules)}
    alone["best candidate"] = take_nearest(still, labeled.xy)
    result = {
        "bench": "candidates",
        **conditions(),
        "package": package.sha256,
        "trained": {key: package.manifest.training.get(key) for key in ("steps", "best_step", "seed")},
        "subspaces": [f"{s.name}: {len(s.components)} of {len(s.mean_px)}" for s in tracking.subspaces],
        "spec": vars(spec),
        "candidates": float(np.isfinite(found.xy[..., 0]).sum(axis=-1).mean()),
        "time_us": {
            "decode": percentiles(found.decode_us[:, 0]),
            "decode candidates": percentiles(found.decode_us[:, 1]),
            "choose": percentiles(np.array(every["candidates, prior, prediction"].choose_us)),
        },
        "video": {name: impossible(v, paws) for name, v in every.items()},
        "video_frames": len(found.xy),
        "labels": {name: compare(v, labeled.xy, paws) for name, v in alone.items()},
        "labeled_frames": len(labeled),
    }
    if options.other is not None and options.networks is not None:
        result["other"] = on_other_session(options, network, rules, keypoints)
    return result


def on_other_session(
    options: Options, network: Network, rules: Rules, keypoints: list[str]
) -> dict[str, Any]:
    """Compare all ways of choosing with what several networks agree on.

    Parameters
    ----------
    options
        The command line, with the other session.
    network
        Gives the candidates.
    rules
        How to choose.
    keypoints
        K names.

    Returns
    -------
    dict[str, Any]
        Frames, the share of paw points on which the networks do not agree, and figures by way of choosing.

    Raises
    ------
    UserError
        Where a file cannot be read.
    """
    assert options.other is not None
    assert options.networks is not None
    reference, left_out = agreed_median(options.networks, keypoints, options.frames)
    found = network.on_video(options.other, options.frames)
    every = variants(found, rules, probe(options.other).rate_hz)
    every["best candidate"] = take_nearest(found, reference)
    return {
        "frames": len(found.xy),
        "left_out": left_out,
        "ways": {name: compare(v, reference, rules.paws) for name, v in every.items()},
    }


def paws_of(keypoints: list[str]) -> list[list[int]]:
    """List the paws of each view, in one order.

    Parameters
    ----------
    keypoints
        K names.

    Returns
    -------
    list[list[int]]
        Indices of the paws seen from the side, and of the same from below.

    Raises
    ------
    UserError
        Where there are none.
    """
    names = [k.removesuffix(VIEWS[0]) for k in keypoints if k.startswith("paw") and k.endswith(VIEWS[0])]
    try:
        views = [[keypoints.index(name + view) for name in names] for view in VIEWS]
    except ValueError:
        views = [[]]
    if not views[0]:
        raise UserError(
            f"--model: no paws in two views among its keypoints ({', '.join(keypoints)}); expected names as "
            f"paw1{VIEWS[0]} and paw1{VIEWS[1]}: train on the mirror-mouse data"
        )
    return views


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line asks for.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, table, argv)
