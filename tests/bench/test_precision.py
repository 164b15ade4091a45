"""The table of precisions and what is recommended by it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.tiny_package import make_tiny_package

from bench import hygiene, isolation, prediction, soak, viewer
from bench.cameras import program as cameras
from bench.cameras.shared_engine import SharedEngine
from bench.precision import Row, alternating_ms, recommendation, table
from bench.scale import program as scale
from bench.torture import flood
from rt_pose.config.schema import EngineConfig
from rt_pose.package import PrecisionReport
from train.quantisation.precisions import estimator


def test_programs_measure_in_the_precision_that_a_run_chooses() -> None:
    for program in (cameras, hygiene, isolation, prediction, scale, soak, viewer, flood):
        assert program.Options.precision == EngineConfig().precision == "auto"
    assert SharedEngine.precision == "auto"


def row(precision: str, ms: float, error: float, moved: float) -> Row:
    report = PrecisionReport(error, moved, 3 * moved, error, 2 * error, 10, moved, 3 * moved, 10)
    return Row(precision, ms, 2 * ms, 100, ms / 10, report, 0.4, 1.4, 50)


INT8, BF16 = row("int8", 4, 4.1, 0.2), row("bf16", 5.5, 4.1, 0.2)
MIXED, FLOAT32 = row("mixed", 6, 4.0, 0.08), row("float32", 10, 4.0, 0)


@pytest.mark.parametrize(
    ("rows", "messages"),
    [
        ([INT8, BF16, MIXED, FLOAT32], "mixed: 1.09 of bf16's time, without 60% of the distance"),
        ([INT8, BF16, row("mixed", 8, 4.0, 0.08), FLOAT32], "bf16: the fastest whose mean error"),
        ([INT8, FLOAT32, row("bf16", 16, 4, 0.2)], "float32: .*; int8, which serves only where asked for"),
        ([row("bf16", 5, 4.3, 0.2), FLOAT32], "float32: the fastest"),
    ],
    ids=["mixed costs little", "mixed costs much", "bf16 is slow here", "bf16 is worse"],
)
def test_the_recommendation_follows_from_the_figures(rows: list[Row], messages: str) -> None:
    assert re.match(messages, recommendation(rows))
    assert len(table(rows).splitlines()) == 2 + len(rows)


def test_every_network_is_timed_in_every_round(tmp_path_factory: pytest.TempPathFactory) -> None:
    package = make_tiny_package(tmp_path_factory.mktemp("package"))
    manifest = package.manifest
    networks = {"float32": estimator(package.path, manifest.input, manifest.decode, "float32")}
    times = alternating_ms(networks, rounds=3, forwards=4, seed=0)
    assert times["float32"].shape == (3, 4)
    assert np.all(times["float32"] > 0)
