"""Boards: their corners in order whichever way up they are held, and what is no board."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.filmed_board import flat_picture

from rt_pose.errors import UserError
from rt_pose.views.board import Board, charuco, checkerboard

BOARDS = {
    "checkerboard": checkerboard("6x5", 10.0),
    "charuco": charuco("7x6", 10.0, 7.5, "4x4_50", legacy=False),
    "legacy charuco": charuco("7x6", 10.0, 7.5, "4x4_50", legacy=True),
}


def enlarged(board: Board) -> np.ndarray:
    """The board's picture, three times as large: markers of 15 px are too small to be read."""
    flat, _ = flat_picture(board)
    return cv2.resize(flat, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)


@pytest.mark.parametrize("name", BOARDS)
def test_corners_are_the_same_ones_upside_down(name: str) -> None:
    board = BOARDS[name]
    picture = enlarged(board)
    upright, turned = board.find(picture), board.find(np.ascontiguousarray(picture[::-1, ::-1]))
    assert upright is not None
    assert turned is not None
    assert len(upright.ids) == len(turned.ids) == 30
    back = np.array(picture.shape[::-1]) - 1 - turned.px
    places = dict(zip(turned.ids.tolist(), back.tolist(), strict=True))
    for corner, px in zip(upright.ids.tolist(), upright.px.tolist(), strict=True):
        assert places[corner] == pytest.approx(px, abs=1.5)
    order = np.argsort(upright.ids)
    flat = board.corners[upright.ids[order], :2] * 6
    apart = upright.px[order] - upright.px[order][0]
    assert np.abs(apart) == pytest.approx(np.abs(flat - flat[0]), abs=2.5)


def test_a_frame_without_a_board_has_none() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160)).astype(np.uint8)
    assert [board.find(noise) for board in BOARDS.values()] == [None] * 3
    legacy = BOARDS["legacy charuco"].find(enlarged(BOARDS["charuco"]))
    assert legacy is None, "a board of the other pattern"


def test_neighbours_are_a_square_apart() -> None:
    board = BOARDS["checkerboard"]
    assert len(board.neighbours) == 5 * 5 + 6 * 4
    for a, b in board.neighbours:
        assert np.linalg.norm(board.corners[a] - board.corners[b]) == 10.0


def test_what_is_no_board() -> None:
    for text, expected in (
        ("9", "expected inner corners such as 9x6"),
        ("2x9", "3 or more in a row"),
        ("999x999", "expected inner corners"),
        ("8x6", "looks the same upside down"),
    ):
        with pytest.raises(UserError, match=expected):
            checkerboard(text, 10.0)
    for squares, marker_mm, dictionary, expected in (
        ("3x9", 7.0, "4x4_50", "4 or more in a row"),
        ("8x11", 7.0, "4x5_50", "expected bits and number of the markers"),
        ("20x11", 7.0, "4x4_50", "has more markers than 4x4_50"),
        ("8x11", 10.0, "4x4_50", "--marker: expected less than a square's 10 mm"),
    ):
        with pytest.raises(UserError, match=expected):
            charuco(squares, 10.0, marker_mm, dictionary, legacy=False)
