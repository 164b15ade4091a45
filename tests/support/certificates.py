"""Latency certificates for tests."""

from __future__ import annotations

from typing import Any

from rt_pose.config.certificate import NS_PER_DAY, Certificate, Percentiles, hash_of, settings_of
from rt_pose.config.schema import RunConfig
from rt_pose.types import CameraInfo, OutputInfo


def percentiles(p50: float, n: int = 200) -> Percentiles:
    return Percentiles(n, p50, p50 + 1.0, p50 + 2.0, None, p50 + 3.0)


def camera_infos(config: RunConfig, *, hardware: bool = False) -> list[CameraInfo]:
    """As the simulated cameras of a configuration report when they are opened."""
    return [
        CameraInfo(name, camera.driver, f"seed {config.seed}", 320, 256, 1, 60.0, hardware=hardware)
        for name, camera in config.cameras.items()
    ]


def output_infos(config: RunConfig) -> list[OutputInfo]:
    """As the simulated outputs of a configuration report when they are opened."""
    return [
        OutputInfo(name, output.driver, f"world {output.options['world']}", 1.0, echoes=True)
        for name, output in config.outputs.items()
    ]


def certificate(
    config: RunConfig, sha256: str = "", *, now_ns: int = 100 * NS_PER_DAY, days: float = 1.0, **changes: Any
) -> Certificate:
    """One of the configuration's first camera (or of `camera`) and first output, `days` old."""
    cameras = {info.name: info for info in camera_infos(config)}
    output = output_infos(config)[0]
    camera = cameras[changes.get("camera", next(iter(cameras)))]
    settings = settings_of(config, camera, output, sha256)
    values: dict[str, Any] = {
        "date": "2026-01-01 00:00:00 UTC",
        "utc_ns": now_ns - round(days * NS_PER_DAY),
        "camera": camera.name,
        "output": output.name,
        "camera_device": f"{camera.driver} {camera.serial}",
        "output_device": f"{output.driver} {output.serial}",
        "exposure_source": "host",
        "rate_hz": 60.0,
        "n": 200,
        "delay_ms": 7.25,
        "stated_delay_ms": 1.0,
        "as_seen_ms": percentiles(20.0),
        "command_to_arrival_ms": percentiles(12.0),
        "command_to_light_ms": percentiles(7.25),
        "image_to_decision_ms": percentiles(5.0),
        "decision_rate_hz": 60.0,
        "decision_replaced": 0.0,
        "loop_ms": percentiles(17.0),
        "settings": settings,
        "settings_hash": hash_of(settings),
    }
    return Certificate(**(values | changes))
