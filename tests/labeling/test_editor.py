"""Frames, the current keypoint, changes and undo, without a window."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.labeling.editor import LabelEditor
from rt_pose.labeling.frame_labels import FrameLabels, Mark

KEYPOINTS = ["nose", "ear", "tail"]


class MemoryStore:
    """Keeps labels in memory, as they were written."""

    def __init__(self) -> None:
        self.kept: dict[str, FrameLabels] = {}
        self.writes: list[str] = []
        self.full = False

    def read(self, name: str) -> FrameLabels:
        return self.kept.get(name, FrameLabels.empty(len(KEYPOINTS)))

    def write(self, name: str, labels: FrameLabels) -> None:
        if self.full:
            raise UserError("the disk is full")
        self.kept[name] = labels
        self.writes.append(name)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def editor(store: MemoryStore) -> LabelEditor:
    return LabelEditor(["a", "b", "c"], KEYPOINTS, store)


def marks(editor: LabelEditor) -> list[Mark]:
    return [Mark(mark) for mark in editor.labels.marks.tolist()]


def test_a_frame_takes_a_click_for_each_keypoint_and_one_key(editor: LabelEditor, store: MemoryStore) -> None:
    for frame in range(3):
        assert (editor.index, editor.cursor) == (frame, 0)
        for k in range(3):
            editor.place(10.0 * k, 5.0)
        assert editor.labels.done
        editor.accept()
    assert store.writes == ["a", "b", "c"]
    assert editor.open_frames == []
    assert editor.name == "c"  # behind the last one there is nothing
    np.testing.assert_array_equal(store.kept["b"].xy, [[0, 5], [10, 5], [20, 5]])


def test_a_place_goes_to_the_next_keypoint_that_is_not_settled(editor: LabelEditor) -> None:
    editor.select(1)
    editor.place(1.234, 2.0)
    assert editor.cursor == 2
    assert editor.labels.xy[1].tolist() == [1.23, 2.0]
    editor.mark_absent()
    assert editor.cursor == 0
    editor.place(3, 3)
    assert editor.cursor == 0  # all are settled
    editor.move(1, 9, 9)
    assert (editor.cursor, editor.labels.xy[1].tolist()) == (1, [9.0, 9.0])
    assert marks(editor) == [Mark.PLACED, Mark.PLACED, Mark.ABSENT]
    assert np.isnan(editor.labels.xy[2]).all()


def test_undo_goes_back_over_frames_and_redo_forward(editor: LabelEditor, store: MemoryStore) -> None:
    editor.place(1, 1)
    editor.place(2, 2)
    editor.go_to(1)
    editor.place(3, 3)
    editor.undo()
    assert (editor.name, marks(editor)[0]) == ("b", Mark.OPEN)
    editor.undo()
    assert (editor.name, editor.cursor) == ("a", 1)
    assert marks(editor) == [Mark.PLACED, Mark.OPEN, Mark.OPEN]
    editor.redo()
    assert marks(editor)[1] == Mark.PLACED
    editor.undo()
    editor.go_to(2)
    assert store.kept["a"].marks.tolist() == [Mark.PLACED, Mark.OPEN, Mark.OPEN]
    editor.place(4, 4)
    editor.redo()  # there is nothing to do again after a new change
    assert (editor.name, marks(editor)[0]) == ("c", Mark.PLACED)


def test_places_of_the_frame_before_are_proposed_and_accepted_with_one_key(
    editor: LabelEditor, store: MemoryStore
) -> None:
    editor.place(1, 1)
    editor.mark_absent()
    editor.toggle_hidden()  # nothing is there that could be hidden
    editor.place(3, 3)
    editor.move(2, 3, 3)
    editor.toggle_hidden()
    assert marks(editor) == [Mark.PLACED, Mark.ABSENT, Mark.HIDDEN]
    editor.copy_previous()  # of the first frame there is none
    editor.accept()
    editor.place(5, 5)
    editor.copy_previous()
    assert marks(editor) == [Mark.PLACED, Mark.OPEN, Mark.PROPOSED]
    assert (editor.cursor, editor.labels.xy[0].tolist()) == (1, [5.0, 5.0])
    editor.mark_absent()
    editor.accept()
    assert store.kept["b"].marks.tolist() == [Mark.PLACED, Mark.ABSENT, Mark.PLACED]


def test_what_is_left_open_stays_open(editor: LabelEditor, store: MemoryStore) -> None:
    editor.place(1, 1)
    editor.accept()
    assert (editor.name, editor.open_frames) == ("b", [0, 1, 2])
    editor.mark_rest_absent()
    editor.accept()
    editor.mark_rest_absent()
    editor.accept()
    assert editor.name == "a"  # round to what is open
    editor.clear()
    editor.select(-1)
    assert (editor.cursor, marks(editor)[0]) == (2, Mark.PLACED)
    editor.select(0)
    editor.clear()
    assert marks(editor)[0] == Mark.OPEN


def test_arrows_move_a_keypoint_and_begin_in_the_middle(editor: LabelEditor) -> None:
    editor.nudge(1, 0, (50.0, 40.0))
    assert (editor.labels.xy[0].tolist(), editor.cursor) == ([51.0, 40.0], 0)
    editor.nudge(0, -10, (0.0, 0.0))
    assert editor.labels.xy[0].tolist() == [51.0, 30.0]


def test_what_cannot_be_written_keeps_the_frame(editor: LabelEditor, store: MemoryStore) -> None:
    store.full = True
    editor.place(1, 1)
    with pytest.raises(UserError, match="full"):
        editor.go_to(1)
    assert (editor.name, marks(editor)[0]) == ("a", Mark.PLACED)
    store.full = False
    editor.go_to(1)
    assert store.writes == ["a"]
    editor.go_to(7)
    assert editor.name == "b"


def test_it_begins_at_the_first_frame_that_is_not_done(store: MemoryStore) -> None:
    done = FrameLabels.empty(3)
    for k in range(3):
        done = done.with_keypoint(k, Mark.PLACED, (1.0, 1.0))
    store.kept["a"] = done
    assert LabelEditor(["a", "b"], KEYPOINTS, store).name == "b"
