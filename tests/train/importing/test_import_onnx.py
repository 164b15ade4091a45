"""Networks as ONNX from elsewhere: layouts, several outputs, exports of sleap-nn; files that do not fit."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper
from support.log_lines import log_into
from support.tiny_package import MEAN, STD, DiscFinder, disc_frame
from torch import Tensor, nn
from torch.nn import functional

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.predict import predict_video
from rt_pose.package import Package, file_sha256, read_package
from train.data.sample_frames import read_tried_frames
from train.importing.graph import load_graph, weight_files
from train.importing.verbs import import_onnx, import_sleap

WIDTH, HEIGHT, K = 160, 128, 4
DISCS = np.array([[30.0, 40.0], [70.0, 90.0], [110.0, 50.0], [140.0, 100.0]])


class Elsewhere(nn.Module):
    """The disc finder as other programs export: two outputs, offsets that point half a pixel on."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.finder, self.channels_last = DiscFinder(K), channels_last

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image.permute(0, 3, 1, 2) if self.channels_last else image
        maps = self.finder(x)
        offsets = 0.5 + 0.0 * torch.cat([maps, maps], dim=1)
        if self.channels_last:
            return maps.permute(0, 2, 3, 1), offsets.permute(0, 2, 3, 1)
        return maps, offsets


class SleapWrapper(nn.Module):
    """What an export of sleap-nn does: uint8 in, scaled inside, whole heatmap pixels out, in frame pixels."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.finder, self.scale = DiscFinder(K), scale
        # As sleap-nn's first layer it is a convolution, and takes 0..1.
        self.first = nn.Conv2d(1, 1, 1)
        self.last = nn.Conv2d(K, K, 1, groups=K)
        with torch.no_grad():
            for layer, weight, bias in ((self.first, 255.0 / STD, -MEAN / STD), (self.last, 0.07, 0.0)):
                layer.weight.fill_(weight)
                layer.bias.fill_(bias)  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image.float() / 255.0
        if self.scale != 1.0:
            size = [int(side * self.scale) for side in image.shape[-2:]]
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=False)
        maps = self.last(self.finder(self.first(x)))
        values, at = maps.flatten(2).max(dim=-1)
        width = maps.shape[-1]
        peaks = torch.stack([(at % width).float(), (at // width).float()], dim=-1)
        return peaks * (4 / self.scale), values


def export(module: nn.Module, example: Tensor, path: Path, image: str, outputs: list[str]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            str(path),
            input_names=[image],
            output_names=outputs,
            opset_version=18,
            dynamo=False,
        )
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), disc_frame(DISCS + 2.0 * i, WIDTH, HEIGHT, 1))
    return folder


def spec(**changes: Any) -> dict[str, Any]:
    """A description of `Elsewhere`."""
    return {
        "keypoints": [f"k{i}" for i in range(K)],
        "skeleton": [["k0", "k1"]],
        "input": {"width": WIDTH, "height": HEIGHT, "channels": 1, "mean": [MEAN], "std": [STD]},
        "decode": {"stride": 4},
        "maps": "maps",
    } | changes


def options(tmp_path: Path, description: dict[str, Any]) -> dict[str, Any]:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(description))
    return {
        "file": str(tmp_path / "model.onnx"),
        "spec": str(tmp_path / "spec.yaml"),
        "frames": str(tmp_path / "frames"),
        "out": str(tmp_path / "package"),
    }


def found(package: Package) -> np.ndarray:
    """Keypoints (G, K, 2) of the golden frames by the engine a run would take."""
    choice = choose_engine(read_package(package.path), EngineConfig())
    return choice.estimator.estimate_all(package.golden.frames).xy


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_heatmap_network_of_either_layout_finds_the_discs(
    tmp_path: Path, frames: Path, layout: str
) -> None:
    shape = (1, 1, HEIGHT, WIDTH) if layout == "NCHW" else (1, HEIGHT, WIDTH, 1)
    export(Elsewhere(layout == "NHWC"), torch.zeros(shape), tmp_path / "model.onnx", "in", ["maps", "off"])
    package = import_onnx(options(tmp_path, spec(layout=layout)))
    assert package.manifest.skeleton == [("k0", "k1")]
    assert np.linalg.norm(found(package)[0] - DISCS, axis=1).max() < 2.0


def test_offsets_are_followed(tmp_path: Path, frames: Path) -> None:
    export(Elsewhere(False), torch.zeros(1, 1, HEIGHT, WIDTH), tmp_path / "model.onnx", "in", ["maps", "off"])
    plain = {"stride": 4, "decoder": "argmax", "offset_px": 2.0}
    refined = plain | {"decoder": "argmax_locref", "locref_std": 3.0}
    without = found(import_onnx(options(tmp_path, spec(decode=plain))))
    package = import_onnx(options(tmp_path, spec(decode=refined, locref="off")))
    np.testing.assert_allclose(found(package), without + 0.5 * 3.0, atol=1e-4)


def test_the_package_predicts_a_video(tmp_path: Path, frames: Path) -> None:
    import av

    export(Elsewhere(False), torch.zeros(1, 1, HEIGHT, WIDTH), tmp_path / "model.onnx", "in", ["maps", "off"])
    package = import_onnx(options(tmp_path, spec()))
    with av.open(str(tmp_path / "video.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=50)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        for i in range(3):
            image = disc_frame(DISCS + 2.0 * i, WIDTH, HEIGHT, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")))
        container.mux(stream.encode())
    predict_video(package, tmp_path / "video.avi", tmp_path / "out.csv", EngineConfig())
    rows = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=3)[:, 1:].reshape(3, K, 3)
    np.testing.assert_allclose(rows[..., :2], found(package), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": "map"}, "no output 'map', did you mean 'maps'"),
        ({"maps": None}, "it has the outputs maps, off; say"),
        ({"image": "frame"}, "no input 'frame'"),
        ({"keypoints": ["k0", "k1"], "skeleton": []}, "gives 4 keypoints with the decoder"),
        ({"locref": "off"}, "read by `decode.decoder: argmax_locref` only"),
        ({"keypoint": []}, "unknown key 'keypoint', did you mean 'keypoints'"),
        ({"skeleton": [["k0", "k9"]]}, "no keypoint 'k9'"),
        ({"decode": {"stride": 0}}, "decode.stride: expected 1 or more"),
    ],
)
def test_a_description_that_does_not_fit_is_said(
    tmp_path: Path, frames: Path, changes: dict[str, Any], message: str
) -> None:
    export(Elsewhere(False), torch.zeros(1, 1, HEIGHT, WIDTH), tmp_path / "model.onnx", "in", ["maps", "off"])
    with pytest.raises(UserError, match=message):
        import_onnx(options(tmp_path, spec(**changes)))
    assert not (tmp_path / "package" / "manifest.json").exists()


def test_what_is_no_network_is_said(tmp_path: Path, frames: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        import_onnx(options(tmp_path, spec()))
    (tmp_path / "model.onnx").write_bytes(b"no network at all")
    with pytest.raises(UserError, match="not a network that can be read"):
        import_onnx(options(tmp_path, spec()))


def test_frames_of_nothing_known_are_refused(tmp_path: Path, frames: Path) -> None:
    """A network that is sure of nothing in the frames given could not be checked."""
    export(Elsewhere(False), torch.zeros(1, 1, HEIGHT, WIDTH), tmp_path / "model.onnx", "in", ["maps", "off"])
    for path in frames.iterdir():
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(UserError, match="not confident of a single keypoint"):
        import_onnx(options(tmp_path, spec()))


def sleap_folder(folder: Path, scale: float, **about: Any) -> Path:
    folder.mkdir()
    example = torch.zeros(1, 1, round(HEIGHT / scale), round(WIDTH / scale), dtype=torch.uint8)
    export(SleapWrapper(scale), example, folder / "model.onnx", "image", ["peaks", "peak_vals"])
    known = {
        "model_type": "single_instance",
        "node_names": [f"n{i}" for i in range(K)],
        "edge_inds": [[0, 1]],
        "input_scale": scale,
        "input_channels": 1,
        "output_stride": 4,
        "sleap_nn_version": "0.3.5",
    }
    (folder / "export_metadata.json").write_text(json.dumps(known | about))
    return folder


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_sleap_export_gives_the_peaks_it_gave(tmp_path: Path, scale: float) -> None:
    images = tmp_path / "frames"
    images.mkdir()
    size = round(WIDTH / scale), round(HEIGHT / scale)
    for i in range(3):
        image = disc_frame((DISCS + 2.0 * i) / scale, *size, 1, radius=8.0 / scale)
        cv2.imwrite(str(images / f"{i}.png"), image)
    folder = sleap_folder(tmp_path / "export", scale)
    messages: list[str] = []
    package = log_into(
        messages, import_sleap, {"file": str(folder), "frames": str(images), "out": str(tmp_path / "package")}
    )
    (parity,) = package.manifest.training["parity_px"].values()
    assert parity["n"] == 3 * K
    # This graph's own scaling is not antialiased, ours is: a peak may move to the next pixel, not further.
    assert parity["max"] <= (0.001 if scale == 1.0 else 4 / scale)
    assert package.manifest.input.frame == size
    assert (package.manifest.input.width, package.manifest.input.height) == (WIDTH, HEIGHT)
    assert package.manifest.skeleton == [("n0", "n1")]
    # Refined they are nearer to the discs than whole heatmap pixels can be. sleap-nn counts from a corner.
    stride = 4 / scale
    assert np.abs(found(package)[0] - DISCS / scale).max() < stride / 2 + stride / 2


def test_sleap_models_of_several_animals_are_refused(tmp_path: Path, frames: Path) -> None:
    folder = sleap_folder(tmp_path / "export", 1.0, model_type="bottomup")
    with pytest.raises(UserError, match="of type 'bottomup'"):
        import_sleap({"file": str(folder), "frames": str(frames), "out": str(tmp_path / "p")})
    (folder / "export_metadata.json").unlink()
    with pytest.raises(UserError, match=r"no export_metadata\.json beside it"):
        import_sleap({"file": str(folder), "frames": str(frames), "out": str(tmp_path / "p")})


def test_graphs_with_branches_are_refused(tmp_path: Path, frames: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["same"])],
        "body",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, [1, 1, 8, 8])],
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    graph = helper.make_graph(
        [helper.make_node("If", ["yes"], ["maps"], then_branch=body, else_branch=body)],
        "branches",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [1, 1, 8, 8])],
        [yes],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), str(tmp_path / "model.onnx")
    )
    with pytest.raises(UserError, match="branches or loops"):
        import_onnx(options(tmp_path, spec()))


def test_frames_are_spread_over_what_is_given(tmp_path: Path, mirror_mouse: Path) -> None:
    frames = read_tried_frames(mirror_mouse / "videos" / "test_vid.mp4", 1, count=3)
    assert frames.size == (396, 406)
    assert len(frames.images) == 3
    assert len(read_tried_frames(mirror_mouse / "labeled-data", 3, count=5).images) == 5
    with pytest.raises(UserError, match="no such video or folder"):
        read_tried_frames(tmp_path / "none", 1)
    with pytest.raises(UserError, match="no image there"):
        read_tried_frames(tmp_path, 1)


@pytest.mark.parametrize("name", ["../weights.bin", "/weights.bin", "weights.bin", "linked.bin"])
def test_weights_of_another_place_are_refused(tmp_path: Path, name: str) -> None:
    place = tmp_path / "inner"
    place.mkdir()
    for file in (tmp_path / "weights.bin", tmp_path / "elsewhere.bin"):
        file.write_bytes(bytes(64))
    (place / "linked.bin").symlink_to(tmp_path / "elsewhere.bin")
    weight = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=name)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    model = helper.make_model(helper.make_graph([], "g", [], [out], initializer=[weight]))
    (place / "net.onnx").write_bytes(model.SerializeToString())
    expected = "are not there; copy that file" if name == "weights.bin" else "which is no file beside it"
    with pytest.raises(UserError, match=expected):
        load_graph(place / "net.onnx")


def test_weights_beside_the_file_come_into_the_package(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.arange(4096, dtype=np.float32), "w")
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4096])
    model = helper.make_model(
        helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [out], initializer=[weight])
    )
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="net.data")
    assert weight_files(path) == {"net.data": file_sha256(tmp_path / "net.data")}
    onnx.save(load_graph(path), str(tmp_path / "whole.onnx"))
    assert weight_files(tmp_path / "whole.onnx") == {}
