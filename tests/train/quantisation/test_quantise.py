"""int8 and mixed networks added to a package that is there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.labeled_folder import write_rows
from support.log_lines import log_into
from support.tiny_package import DeepDiscFinder, DiscFinder, disc_frame, make_tiny_package
from torch import Tensor, nn
from torch.nn import functional

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.engines.openvino import OpenVINOEngine
from rt_pose.package import GOLDEN_CONFIDENCE, Package, PrecisionReport, extend_package, read_package
from train.data.labels import read_labels
from train.quantisation.config import QuantiseConfig
from train.quantisation.frames import collect_frames
from train.quantisation.quantise import quantise

needs_int8 = pytest.mark.skipif(
    "int8" not in OpenVINOEngine.precisions(), reason="this processor has no 8-bit products"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labeled frames of four discs, one of which is kept back."""
    path = tmp_path_factory.mktemp("quantise") / "discs"
    path.mkdir()
    random = np.random.default_rng(5)
    names = [f"k{i}" for i in range(4)]
    rows: list[list[object]] = [["scorer", *["drawn"] * 8], ["bodyparts", *[n for n in names for _ in "xy"]]]
    rows.append(["coords", *["x", "y"] * 4])
    for i in range(8):
        xy = np.stack([(np.arange(4) + 0.5) * 80, random.uniform(40, 200, 4)], axis=1)
        cv2.imwrite(str(path / f"img{i}.png"), disc_frame(xy, 320, 256, 1, radius=16.0)[..., 0])
        rows.append([f"img{i}.png", *xy.ravel()])
    write_rows(path, rows)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_tiny_package(tmp_path_factory.mktemp("trained") / "package", network=DeepDiscFinder).path
    configuration = {"labels": "CollectedData.csv", "validation_fraction": 0.15, "seed": 0}
    extend_package(path, {}, {}, {"configuration": configuration})
    return path


@pytest.fixture(scope="module")
def quantised(folder: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    path = tmp_path_factory.mktemp("quantised") / "package"
    shutil.copytree(trained, path)
    return quantise(QuantiseConfig(str(path), str(folder), precisions=["int8"]))


@needs_int8
def test_int8_runs_where_it_is_asked_for_and_says_what_it_costs(quantised: Package) -> None:
    choice = choose_engine(quantised, EngineConfig(precision="int8"))
    assert choice.engine.precision == "int8"
    report = quantised.manifest.precisions["int8"]
    assert choice.displacement_p95_px == report.largest_p95_px > 0
    assert report.displacement_median_px < 1.0
    assert report.displacement_n
    float32 = choose_engine(quantised, EngineConfig(precision="float32"))
    frames = quantised.golden.frames
    moved = choice.estimator.estimate_all(frames).xy - float32.estimator.estimate_all(frames).xy
    assert np.abs(moved).max() > 0, "another network runs"


@needs_int8
def test_auto_never_takes_int8_and_says_so(quantised: Package) -> None:
    choice = choose_engine(quantised, EngineConfig())
    assert choice.engine.precision != "int8"
    assert "int8 not taken: only where asked for" in str(choice)


class NormedDiscFinder(DeepDiscFinder):
    """The same with group norms in it."""

    def __init__(self, keypoints: int) -> None:
        super().__init__(keypoints)
        self.norm = nn.GroupNorm(2, keypoints)

    def forward(self, image: Tensor) -> Tensor:
        x = DiscFinder.forward(self, image)
        for layer in self.layers:
            x = layer(x)
            x = functional.relu(x + 0.1 * self.norm(x))
        return x


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that says it came from elsewhere, with group norms, and how it found discs before."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("imported") / "package"
    make_tiny_package(path, network=NormedDiscFinder)
    extend_package(path, {}, {}, {"imported": "ONNX"})
    return path


@needs_int8
def test_an_imported_network_is_quantised_by_its_recordings(folder: Path, imported: Path) -> None:
    before = read_package(imported).manifest.precisions
    messages: list[str] = []
    config = QuantiseConfig(str(imported), frames=[str(folder)], precisions=["int8"])
    package = log_into(messages, quantise, config)
    assert any("no labels" in line for line in messages)
    report = package.manifest.precisions["int8"]
    assert report.validation_error_px is None
    assert report.displacement_n == (package.golden.confidence >= GOLDEN_CONFIDENCE).sum()
    assert report.video_n
    assert 0 < report.displacement_p95_px < 2.0
    assert package.manifest.precisions["float32"] == before["float32"], "an error once known is kept"
    made = package.manifest.training["quantised"]["int8"]
    assert (made["group_norms_in_float32"], made["calibration_frames"]) == (4, 4)
    assert choose_engine(package, EngineConfig(precision="int8")).engine.precision == "int8"

    labeled = quantise(replace(config, data=str(folder / "CollectedData.csv")))
    for precision in ("float32", "int8"):
        assert 0 < (labeled.manifest.precisions[precision].validation_error_px or 0) < 5.0
    assert "int8 not taken: only where asked for" in str(choose_engine(labeled, EngineConfig()))


@needs_int8
def test_what_an_imported_network_is_quantised_by_must_fit(folder: Path, imported: Path) -> None:
    config = QuantiseConfig(str(imported), frames=[str(folder)], precisions=["int8"])
    with pytest.raises(UserError, match=r"at least 8 frames, here are 0; say `--frames '.VIDEO.'`"):
        quantise(replace(config, frames=[]))
    with pytest.raises(UserError, match="no such file; expected the CSV"):
        quantise(replace(config, data=str(folder)))


@needs_int8
def test_quantising_again_replaces_what_was_there(folder: Path, quantised: Package, tmp_path: Path) -> None:
    shutil.copytree(quantised.path, tmp_path / "package")
    again = quantise(QuantiseConfig(str(tmp_path / "package"), str(folder)))
    assert set(again.manifest.precisions) == set(OpenVINOEngine.precisions())
    added = {"network.mixed.xml", "network.mixed.bin"}
    assert set(again.manifest.files) == set(quantised.manifest.files) | added
    assert again.manifest.training["quantised"]["int8"]["convolutions_in_float32"] == 3


@needs_int8
def test_a_package_is_whole_when_adding_to_it_is_cut_short(quantised: Package, tmp_path: Path) -> None:
    path = tmp_path / "package"
    shutil.copytree(quantised.path, path)

    def fail(file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        extend_package(path, {"network.int8.xml": fail}, {"int8": PrecisionReport(0.0, 0.0, 0.0)})
    package = read_package(path)
    assert "int8" not in package.manifest.precisions
    with pytest.raises(UserError, match="precision 'int8' was never tried"):
        choose_engine(package, EngineConfig(precision="int8"))


@needs_int8
def test_what_cannot_be_quantised_is_told_before_anything_is_made(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    config = QuantiseConfig(str(trained), str(folder))
    with pytest.raises(UserError, match="no 'int4' to add, did you mean 'int8'"):
        quantise(replace(config, precisions=["int4"]))
    with pytest.raises(UserError, match="a network without the data that it was trained on is calibrated on"):
        quantise(replace(config, data=""))
    with pytest.raises(UserError, match="does not say how it was trained"):
        quantise(replace(config, model=str(make_tiny_package(tmp_path / "tiny").path)))


@needs_int8
def test_what_measures_is_not_calibrated_on_where_no_frame_was_kept_back(folder: Path, trained: Path) -> None:
    package = read_package(trained)
    package.manifest.training["configuration"]["validation_fraction"] = 0.0
    images = read_labels(folder, "CollectedData.csv", "gray").images
    package.golden.frames = np.stack(images[:3])
    on = collect_frames(package, QuantiseConfig(str(trained), str(folder)))
    assert on.labeled is None
    assert len(on.calibrate) == 5
    assert all(np.array_equal(one, other) for one, other in zip(on.calibrate, images[3:], strict=True))
    package.golden.frames = np.stack(images)
    with pytest.raises(UserError, match="none of its 8 labeled frames is left to calibrate int8 on"):
        collect_frames(package, QuantiseConfig(str(trained), str(folder)))
    assert not collect_frames(
        package, QuantiseConfig(str(trained), str(folder), precisions=["mixed"])
    ).calibrate


@needs_int8
def test_a_package_without_the_network_of_a_precision_says_what_adds_it(trained: Path) -> None:
    with pytest.raises(UserError, match="rt-pose train quantise"):
        choose_engine(read_package(trained), EngineConfig(backend="openvino", precision="int8"))


@needs_int8
def test_one_s_own_package_is_quantised_by_recordings_alone(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "package"
    shutil.copytree(trained, path)
    config = QuantiseConfig(str(path), frames=[str(folder)], precisions=["int8"])
    report = quantise(config).manifest.precisions["int8"]
    assert report.validation_error_px is None
    assert report.video_n
    on = collect_frames(read_package(path), config)
    assert (len(on.calibrate), on.labeled, len(on.recorded)) == (4, None, 4)
