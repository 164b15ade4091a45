from __future__ import annotations

import numpy as np
import pytest
import torch
from support.tiny_package import make_tiny_package
from torch import nn

from bench import stages
from bench.machine_peak import Peak, copy_bytes_per_s
from bench.operations import count_operations, operations_of
from bench.stages import (
    Row,
    decode_row,
    infer_row,
    peaked_maps,
    preprocess_rows,
    publish_row,
    track_rows,
)
from bench.timing import WARM_UP, timed
from rt_pose.inference.decode import Decoder
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.package import DecodeSpec, Package


class Mixed(nn.Module):
    """Every kind of arithmetic that is counted: grouped, strided and transposed convolution, product."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 5, padding=2, groups=8),
            nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
            nn.Flatten(),
            nn.Linear(4 * 32 * 32, 7),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.body(image)


def test_operations_are_two_a_multiply_add() -> None:
    grouped, strided, transposed = 8 * 5 * 5 * 16 * 16, 8 * 3 * 3 * 3 * 16 * 16, 8 * 4 * 4 * 4 * 16 * 16
    assert count_operations(Mixed().eval(), (1, 3, 32, 32)) == 2 * (
        grouped + strided + transposed + 7 * 4 * 32 * 32
    )


def test_a_package_is_counted_by_its_program(package: Package) -> None:
    spec = package.manifest.input
    network = torch.export.load(package.path / PROGRAM).module()
    assert (
        operations_of(package) == count_operations(network, (1, spec.channels, spec.height, spec.width)) > 0
    )


def test_a_copy_is_faster_than_nothing_and_slower_than_light() -> None:
    assert 1e8 < copy_bytes_per_s(1 << 20) < 1e13


def test_calls_are_counted_and_numbered() -> None:
    seen: list[int] = []
    found = timed(seen.append, calls=30)
    assert found is not None
    assert found["n"] == 30
    assert seen == list(range(30 + WARM_UP))
    cut = timed(lambda i: sum(range(100_000)), calls=10_000, max_s=0.02)
    assert cut is not None
    assert cut["n"] < 10_000


def test_made_maps_have_the_peaks_of_a_trained_network() -> None:
    found = Decoder(DecodeSpec(stride=4))(peaked_maps(np.random.default_rng(0), 5, 32, 40))
    assert (found.confidence > 0.5).all()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package") / "package", keypoints=4)


def test_every_stage_is_timed_beside_its_floor(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SIZES", ((64, 48),))
    monkeypatch.setattr(timed, "__defaults__", (20, 30.0))
    engine = open_engine("openvino", package.path, package.manifest.input, "float32", 1)
    rows: list[Row] = [
        *preprocess_rows(package, engine),
        infer_row(package, "float32", Peak(1e11, "none")),
        decode_row(package, engine, 4),
        *track_rows(package, 6),
        publish_row(6, package),
    ]
    assert [row.stage for row in rows][-5:] == ["infer", "decode", "track", "decide", "publish"]
    for row in rows:
        assert row.ms is not None
        assert row.ms["n"] == 20
        assert row.floor_ms > 0
        assert row.distance is not None
        assert row.distance == row.ms["p50"] / row.floor_ms
