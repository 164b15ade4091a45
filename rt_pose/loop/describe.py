"""What is said of a run before it begins: in `session.json`, and to subscribers."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from rt_pose.clock import Clock
from rt_pose.config.build import to_plain
from rt_pose.inference.bare_forward import LONGEST_AT_START_S, WARM_AGAIN, bare_forward_ms
from rt_pose.loop.opening import Opened


def describe(opened: Opened, clock: Clock) -> dict[str, Any]:
    """Describe a run as `session.json` does before it begins; times the network alone.

    Parameters
    ----------
    opened
        The opened parts.
    clock
        Times the network.

    Returns
    -------
    dict[str, Any]
        Configuration, package, engine, cameras, outputs, budget (ms) and bare forward (ms).
    """
    config, package, choice = opened.config, opened.package, opened.choice
    manifest, engine = package.manifest, choice.engine
    return {
        "config": to_plain(config),
        "package": {
            "path": str(package.path),
            "sha256": package.sha256,
            "keypoints": manifest.keypoints,
            "skeleton": manifest.skeleton,
            "tracking": msgspec.to_builtins(opened.tracking),
            "training": manifest.training,
            "drift": msgspec.to_builtins(manifest.drift),
        },
        "own_models": {
            name: {
                "path": str(model.package.path),
                "sha256": model.package.sha256,
                "tracking": msgspec.to_builtins(model.tracking),
                "drift": msgspec.to_builtins(model.package.manifest.drift),
                "engine": str(model.choice),
            }
            for name, model in opened.own.items()
        },
        "prior_origins": opened.origins,
        "engine": {
            "backend": engine.backend,
            "precision": engine.precision,
            "threads": engine.threads,
            "preprocess": choice.preprocess,
            "preprocess_why": choice.preprocess_why,
            "device": config.engine.device,
            "description": str(choice),
            "golden_px": choice.golden_px,
            "displacement_p95_px": choice.displacement_p95_px,
        },
        "cameras": {c.name: dataclasses.asdict(c) for c in opened.infos},
        "outputs": {o.name: dataclasses.asdict(o) for o, _ in opened.outputs},
        "inputs": {i.name: dataclasses.asdict(i) for i, _ in opened.inputs},
        **_views(opened),
        "budget_ms": config.budget_ms,
        "certificate": msgspec.to_builtins(opened.certification),
        "bare_forward_ms": dataclasses.asdict(
            bare_forward_ms(engine, clock, longest_s=LONGEST_AT_START_S, warm_up_runs=WARM_AGAIN)
        ),
    }


def meta(opened: Opened, description: dict[str, Any]) -> dict[str, Any]:
    """Collect what a subscriber must know to read the other messages.

    Parameters
    ----------
    opened
        The opened parts.
    description
        What `describe` returned.

    Returns
    -------
    dict[str, Any]
        The content of the `meta` topic; `skeleton` is pairs of indices of keypoints. `config` lacks the seed
        where a rule withholds, since it tells which events are controls.
    """
    config, package = opened.config, description["package"]
    keypoints, blind = package["keypoints"], any(rule.blind for rule in opened.rules.rules)
    return {
        "keypoints": keypoints,
        "skeleton": [[keypoints.index(a), keypoints.index(b)] for a, b in package["skeleton"]],
        "package": package["sha256"],
        "cameras": description["cameras"],
        "outputs": list(description["outputs"]),
        "zones": to_plain(config.zones),
        "rules": [rule.name for rule in config.rules],
        "budget_ms": config.budget_ms,
        "config": {k: v for k, v in description["config"].items() if not (blind and k == "seed")},
        **({"views": description["views"]} if "views" in description else {}),
        "address": opened.publisher.address,
        "control": opened.socket.address,
    }


def _views(opened: Opened) -> dict[str, Any]:
    """The groups of views; nothing where there are none."""
    groups = {name: dataclasses.asdict(group.info) for name, group in opened.views.items()}
    return {"views": groups} if groups else {}
