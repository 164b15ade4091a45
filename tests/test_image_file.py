"""Pictures are read as they are stored, and those that their metadata turns by nobody."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.image_file import read_image
from train.data.source import images_of
from train.data.tables import LabelTable

ORIENTATION = 0x0112


def write_turned(path: Path, orientation: int) -> Path:
    """A bright left half, with an EXIF entry for its orientation."""
    image = np.zeros((40, 60), np.uint8)
    image[:, :30] = 200
    data = cv2.imencode(".jpg", image)[1].tobytes()
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
    tiff = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 1) + entry + struct.pack(">I", 0)
    exif = b"Exif\0\0" + tiff
    file = io.BytesIO()
    file.write(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    path.write_bytes(file.getvalue())
    return path


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_turned_picture_is_refused_with_what_settles_it(tmp_path: Path, orientation: int) -> None:
    path = write_turned(tmp_path / "phone.jpg", orientation)
    for channels in (None, 1, 3):
        with pytest.raises(UserError, match=r"EXIF.*mogrify -auto-orient '.*phone\.jpg'.*mogrify -strip"):
            read_image(path, channels)


def test_metadata_that_turns_nothing_does_no_harm(tmp_path: Path) -> None:
    image = read_image(write_turned(tmp_path / "upright.jpg", 1))
    assert image is not None
    assert image.shape == (40, 60, 1)
    assert image[20, 10, 0] > 150 > image[20, 50, 0]


def test_colours_depth_and_what_is_no_picture(tmp_path: Path) -> None:
    red = np.zeros((4, 6, 4), np.uint8)
    red[..., 2], red[..., 3] = 255, 128  # BGR and transparency
    cv2.imwrite(str(tmp_path / "red.png"), red)
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 6), 60000, np.uint16))
    (tmp_path / "text.png").write_text("no picture")
    for channels, expected in ((None, [255, 0, 0]), (3, [255, 0, 0]), (1, [76])):
        image = read_image(tmp_path / "red.png", channels)
        assert image is not None
        assert image[0, 0].tolist() == expected
    assert read_image(tmp_path / "deep.png") is None
    assert read_image(tmp_path / "text.png") is None
    assert read_image(tmp_path / "none.png") is None


def test_everyone_who_reads_pictures_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_turned(tmp_path / "phone.jpg", 6)
    table = LabelTable(["nose"], ["phone.jpg"], ["row 4"], np.zeros((1, 1, 2)), np.full((1, 1), 2, np.uint8))
    (image,), (problem,) = images_of(tmp_path, table)
    assert not image.size
    assert "row 4: " in problem
    assert "EXIF" in problem
    config = tmp_path / "rig.yaml"
    config.write_text("cameras: {top: {driver: simulated}}\nrules: []\n")
    picture = str(tmp_path / "phone.jpg")
    for words in (
        ["rules", "check", str(config), "--image", picture, "--out", str(tmp_path / "rules.png")],
        ["rig", "scale", str(config), "--ruler", "0", "0", "9", "0", "--length", "5 mm", "--image", picture],
    ):
        assert main(words) == 2
        assert "EXIF" in capsys.readouterr().err, words
