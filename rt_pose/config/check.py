"""Checks of a run's configuration that its types cannot make."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rt_pose.config.build import duration_ns
from rt_pose.errors import UserError

if TYPE_CHECKING:
    from rt_pose.config.schema import CropConfig, RunConfig

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def check_names(config: RunConfig) -> None:
    """UserError where a name could not be a topic, a file or a word of a rule."""
    named: dict[str, Iterable[str]] = {
        "cameras": config.cameras,
        "outputs": config.outputs,
        "zones": config.zones,
        "rules": [rule.name for rule in config.rules],
        "protocol": [block.block for block in config.protocol],
    }
    for kind, names in named.items():
        for name in names:
            if not _NAME.fullmatch(name):
                raise UserError(
                    f"configuration: {kind}: {name!r} cannot be a name; expected a letter, then letters, "
                    "digits, '_' or '-'"
                )


def check_numbers(config: RunConfig) -> None:
    """UserError where a number of the configuration makes no sense."""
    publish = config.publish
    positive = {
        "budget_ms": config.budget_ms,
        "seconds": config.seconds,
        "publish.frame_width_px": publish.frame_width_px,
    }
    for key, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"configuration: {key}: expected more than 0, got {value}")
    if not 0 <= config.group_ms <= 1000:
        raise UserError(f"configuration: group_ms: expected 0 to 1000, got {config.group_ms}")
    for name, camera in config.cameras.items():
        if camera.crop is not None:
            _check_crop(camera.crop, f"configuration: cameras.{name}.crop")
    if not 0 <= publish.frame_rate_hz <= 1000:
        raise UserError(
            f"configuration: publish.frame_rate_hz: expected 0 to 1000, got {publish.frame_rate_hz}"
        )
    heartbeat_ns = duration_ns(config.safety.heartbeat_until, "configuration: safety.heartbeat_until")
    kill_ns = duration_ns(config.safety.kill_after, "configuration: safety.kill_after")
    if not 100e6 <= heartbeat_ns <= kill_ns or kill_ns < 1e9:  # the supervisor hears of turns twice a second
        raise UserError(
            "configuration: safety: expected 100 ms <= heartbeat_until <= kill_after and a kill_after of 1 s "
            f"or more, got {config.safety.heartbeat_until!r} and {config.safety.kill_after!r}"
        )
    if config.engine.threads < 0:
        raise UserError(f"configuration: engine.threads: expected 0 or more, got {config.engine.threads}")


def _check_crop(crop: CropConfig, where: str) -> None:
    if crop.width < 1 or crop.height < 1:
        raise UserError(f"{where}: expected a window of at least 1x1 px, got {crop.width}x{crop.height}")
    if not 0 <= crop.margin_px < float("inf"):
        raise UserError(f"{where}: margin_px: expected 0 or more, got {crop.margin_px}")
    if not 0 <= crop.seen_within_ms < float("inf"):
        raise UserError(f"{where}: seen_within_ms: expected 0 or more, got {crop.seen_within_ms}")
    if not 0 < crop.min_seen <= 1:
        raise UserError(f"{where}: min_seen: expected a share above 0, up to 1, got {crop.min_seen}")
