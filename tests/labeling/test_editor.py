"""Frames, the current keypoint, changes and undo, without a window."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.labeling.editor import LabelEditor
from rt_pose.labeling.frame_labels import FrameLabels, Mark

KEYPOINTS = ["nose", "ear", "tail"]


class MemoryStore:
    """Keeps labels in memory, as they were written."""

    def __init__(self) -> None:
        self.points = len(KEYPOINTS)
        self.kept: dict[str, FrameLabels] = {}
        self.writes: list[str] = []
        self.full = False

    def read(self, name: str) -> FrameLabels:
        return self.kept.get(name, FrameLabels.empty(self.points))

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
    return LabelEditor(["a", "b", "c"], AnimalPoints(KEYPOINTS), store)


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
    assert LabelEditor(["a", "b"], AnimalPoints(KEYPOINTS), store).name == "b"


PARTS, ANIMALS = ["nose", "tail"], ["ann", "bob", "cid"]


@pytest.fixture
def several(store: MemoryStore) -> LabelEditor:
    """Two frames of three animals of two keypoints, and a corner of the cage."""
    points = AnimalPoints(PARTS, ANIMALS, ["corner"])
    store.points = len(points.names)
    return LabelEditor(["a", "b"], points, store)


def test_one_animal_after_the_other_takes_a_click_for_each_keypoint_and_one_key(
    several: LabelEditor, store: MemoryStore
) -> None:
    for place in range(7):
        assert (several.cursor, several.group.name) == (place, [*ANIMALS, "single"][place // 2])
        several.place(10.0 * place, 5.0)
    several.accept()
    assert (several.name, several.cursor, several.open_frames) == ("b", 0, [1])
    assert store.kept["a"].xy[:, 0].tolist() == [0, 10, 20, 30, 40, 50, 60]


def test_an_animal_is_chosen_and_its_keypoints_come_first(several: LabelEditor) -> None:
    several.select_animal(1)
    several.place(1, 1)
    assert several.cursor == 3
    several.next_keypoint(1)
    assert several.cursor == 2  # round about within the animal
    several.select_animal(several.animal)
    assert several.cursor == 3  # the first that is not settled
    several.place(2, 2)
    assert several.group.name == "cid"
    several.mark_rest_absent()
    assert (marks(several)[4:6], several.group.name) == ([Mark.ABSENT] * 2, "single")
    several.place(3, 3)
    assert several.group.name == "ann"
    several.select_animal(-1)
    assert several.group.name == "single"


def test_animals_are_exchanged_and_taken_out_of_a_frame(several: LabelEditor) -> None:
    for k in range(7):
        several.move(k, float(k), 0.0)
    several.select_animal(0)
    several.next_keypoint(1)
    several.mark_absent()
    several.exchange(2)
    assert np.nan_to_num(several.labels.xy[:, 0], nan=-1).tolist() == [4, 5, 2, 3, 0, -1, 6]
    assert marks(several) == [*[Mark.PLACED] * 5, Mark.ABSENT, Mark.PLACED]
    several.exchange(3)  # a corner is no animal
    several.undo()
    assert several.labels.xy[0, 0] == 0.0
    several.select_animal(1)
    several.remove_animal()
    assert marks(several)[2:4] == [Mark.ABSENT] * 2
    assert several.labels.done
    several.undo()
    assert several.labels.xy[2, 0] == 2.0


def test_places_of_the_frame_before_are_proposed_for_one_animal_or_for_all(several: LabelEditor) -> None:
    for k in range(7):
        several.move(k, float(k), 0.0)
    several.accept()
    several.select_animal(1)
    several.copy_previous()
    proposed = [k for k, mark in enumerate(marks(several)) if mark == Mark.PROPOSED]
    assert (proposed, several.group.name) == ([2, 3], "cid")  # the next one that nothing is known of
    several.place(9, 9)
    several.copy_previous(every_animal=True)
    assert marks(several) == [*[Mark.PROPOSED] * 4, Mark.PLACED, *[Mark.PROPOSED] * 2]
    several.accept()
    assert marks(several) == [Mark.PLACED] * 7
