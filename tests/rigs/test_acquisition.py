"""The options that cameras share, the choice by serial number, and pixel formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rigs.acquisition import AcquisitionOptions, choose_device
from rigs.pixel_formats import FORMATS, pixel_format, preferred
from rt_pose.errors import UserError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_hz": 0.0}, "rate_hz must be between 0.1 and 2000, got 0"),
        ({"rate_hz": float("nan")}, "rate_hz must be between"),
        ({"exposure_us": -1.0}, "exposure_us must be between"),
        ({"gain_db": 1e3}, "gain_db must be between"),
        ({"buffers": 1}, "buffers must be between 2 and 1000"),
        ({"roi": [0, 0, 10]}, r"roi must be \[x, y, width, height\]"),
        ({"roi": [-1, 0, 10, 10]}, "roi must be"),
        ({"roi": [0, 0, 0, 10]}, "roi must be"),
        ({"trigger": "software"}, "trigger: software needs rate_hz"),
        (
            {"rate_hz": 200.0, "exposure_us": 10_000.0},
            "leave room for 100 frames a second at most, got rate_hz 200",
        ),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        AcquisitionOptions(**options).check("cameras.top.options")


def test_a_camera_is_chosen_by_its_serial_and_never_by_its_place() -> None:
    assert choose_device(["7", "9"], "9", "cameras.top.options") == "9"
    assert choose_device(["7"], "", "cameras.top.options") == "7"
    for serials, wanted, message in (
        (["7", "9"], "", r"found 2 \(7, 9\); say which with `serial:`"),
        ([], "", r"found 0 \(none\); plug one in"),
        (["7"], "8", "no camera '8' is connected; there are: 7"),
    ):
        with pytest.raises(UserError, match=message):
            choose_device(serials, wanted, "cameras.top.options")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_fills_the_frame_where_it_lies(name: str) -> None:
    made = FORMATS[name]
    raw = np.random.default_rng(1).integers(0, 1 << (8 + made.shift), made.shape(8, 12)).astype(made.dtype)
    into = np.zeros((8, 12, made.channels), np.uint8)
    address = into.ctypes.data
    made.write(raw, into)
    assert into.ctypes.data == address
    assert into.std() > 0


def test_deeper_samples_are_shifted() -> None:
    into = np.zeros((1, 3, 1), np.uint8)
    pixel_format("Mono12", "").write(np.array([[0, 16, 4095]], np.uint16), into)
    assert into[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("name", ["BayerRG8", "BayerGB8", "BayerGR8", "BayerBG8"])
def test_a_mosaic_of_one_colour_comes_back_in_that_colour(name: str) -> None:
    colour = {"R": 200, "G": 100, "B": 50}
    first, second = name[5], name[6]
    rows = {"RG": ("RG", "GB"), "GB": ("GB", "RG"), "GR": ("GR", "BG"), "BG": ("BG", "GR")}[first + second]
    raw = np.tile(np.array([[colour[c] for c in row] for row in rows], np.uint8), (8, 8))
    into = np.zeros((16, 16, 3), np.uint8)
    pixel_format(name, "").write(raw, into)
    assert into[8, 8].tolist() == [200, 100, 50]


def test_blue_first_becomes_red_first() -> None:
    into = np.zeros((1, 1, 3), np.uint8)
    pixel_format("BGR8", "").write(np.array([[[1, 2, 3]]], np.uint8), into)
    assert into[0, 0].tolist() == [3, 2, 1]
    pixel_format("RGBA8Packed", "").write(np.array([[[1, 2, 3, 9]]], np.uint8), into)
    assert into[0, 0].tolist() == [1, 2, 3]


def test_an_unknown_format_lists_the_known() -> None:
    with pytest.raises(UserError, match="'Mono12p' cannot be read; expected one of Mono8, RGB8"):
        pixel_format("Mono12p", "cameras.top.options")


def test_the_networks_channels_and_eight_bits_are_preferred() -> None:
    offered = ["Mono12", "BayerRG8", "RGB8Packed", "Mono8", "Mono12p"]
    assert preferred(offered, 1) == "Mono8"
    assert preferred(offered, 3) == "RGB8Packed"
    assert preferred(["Mono12p", "Mono16", "BayerRG8"], 1) == "BayerRG8"
    assert preferred(["Mono12p"], None) is None
