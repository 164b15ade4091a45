"""What is compiled when first called is called before the first frame: the first time it takes seconds.

A process of its own, since in this one other tests have called everything already.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny_package import make_tiny_package

from rt_pose.package import DriftLimits, DriftSpec, write_manifest

PROGRAM = """
import importlib, sys
from numba.core.dispatcher import Dispatcher
import rigs
from rt_pose.clock import HostClock
from rt_pose.config.schema import CameraConfig, EngineConfig, OutputConfig, PublishConfig, RunConfig
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.loop.assemble import assemble
from rt_pose.loop.control import Order

def compiled():
    inference = ["inference.decode_compiled", "inference.preprocess_compiled"]
    modules = [*inference, "tracking.causal_filter_compiled", "tracking.drift_compiled"]
    found = [vars(importlib.import_module(f"rt_pose.{name}")) for name in modules]
    return {
        (of["__name__"], name): value.signatures
        for of in found for name, value in of.items() if isinstance(value, Dispatcher)
    }

rigs.register()
config = RunConfig(
    model=sys.argv[1],
    cameras={"top": CameraConfig("simulated", {"width": 320, "height": 256, "rate_hz": 60, "world": "w"})},
    outputs={"light": OutputConfig("simulated", {"world": "w"})},
    zones={"left": ZoneConfig(circle=[100, 100, 50])},
    rules=[RuleConfig("in", when="inside(k0, left)", do=ActionConfig("light", pulse="5 ms"))],
    engine=EngineConfig(precision="float32"),
    publish=PublishConfig(address="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*"),
    drift="warn",
)
assembled = assemble(config, "test", HostClock())
before = compiled()
assert any(before.values()), before
loop = assembled.loop
loop.apply(Order("arm"))
loop.run(0.5)
decided = sum(path.processed for path in loop.paths.values())
assembled.close()
assert decided > 3, decided
late = {name: made for name, made in compiled().items() if made != before[name]}
assert not late, f"compiled while frames were waiting: {late}"
"""


@pytest.mark.timeout(240)
def test_no_frame_waits_for_the_compiler(tmp_path: Path) -> None:
    package = make_tiny_package(tmp_path / "package")
    manifest = package.manifest
    manifest.drift = DriftSpec({"confidence": DriftLimits(0.0, 1.0, 1.0, 3.0)}, 0.1, 20.0, 60.0)
    write_manifest(package.path, manifest)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package.path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
