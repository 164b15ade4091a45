"""The worst frames of an evaluation first, with the predictions beside the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS, make_labeled_folder

from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.inference.decode import Keypoints
from rt_pose.labeling.prepare import LabelOptions, prepare
from train.data.labels import read_labels
from train.evaluation.metric_files import write_labeled_predictions, write_metric


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_labeled_folder(tmp_path_factory.mktemp("data") / "mouse", frames=5)


def evaluate(folder: Path, out: Path) -> None:
    """Write what `train evaluate` writes of a network that is far off in two frames."""
    frames = read_labels(folder, "")
    predicted = frames.xy + 1.0
    predicted[3, 1] += 40.0
    predicted[1, 2] += 10.0
    apart = np.linalg.norm(predicted - frames.xy, axis=-1)
    apart[0, 0] = np.nan  # a keypoint without a label
    sets = ["train"] * 4 + ["validation"]
    found = Keypoints(predicted, np.zeros((5, 3, 2, 2)), np.ones((5, 3)))
    write_labeled_predictions(out / "predictions.csv", frames.names, frames.keypoints, found, sets)
    write_metric(out / "predictions_pixel_error.csv", frames.names, frames.keypoints, apart, sets)


def test_worst_frames_come_first_and_are_mended(folder: Path, tmp_path: Path) -> None:
    evaluate(folder, tmp_path / "evaluation")
    before = read_labels(folder, "")
    options = LabelOptions(folder, scorer="anna", review=str(tmp_path / "evaluation"), worst=2)
    labeling = prepare(options, FakeClock())
    assert labeling.editor.names == [before.names[3], before.names[1]]
    assert labeling.about(before.names[3]).startswith(f"{KEYPOINTS[1]}: 58.0 px between")
    predicted = labeling.predicted(before.names[3])
    assert predicted is not None
    np.testing.assert_allclose(predicted[1], before.xy[3, 1] + 41.0, atol=1e-4)
    labeling.editor.move(1, *predicted[1].tolist())
    labeling.editor.write()
    after = read_labels(folder, "")
    assert (after.xy != before.xy).sum() == 2
    np.testing.assert_allclose(after.xy[3, 1], predicted[1], atol=0.01)


def test_an_evaluation_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    def review(out: Path) -> None:
        prepare(LabelOptions(folder, scorer="anna", review=str(out)), FakeClock())

    with pytest.raises(UserError, match=r"no predictions_pixel_error.csv in it; give the folder"):
        review(tmp_path)
    evaluate(folder, tmp_path / "evaluation")
    errors = tmp_path / "evaluation" / "predictions_pixel_error.csv"
    text = errors.read_text()
    errors.write_text(text.replace("large", "nose"))
    with pytest.raises(UserError, match="'large' of the labels is not among them"):
        review(tmp_path / "evaluation")
    errors.write_text(text.replace("img004", "img999"))
    with pytest.raises(UserError, match="do not belong together"):
        review(tmp_path / "evaluation")
    table = tmp_path / "evaluation" / "predictions.csv"
    table.write_text(table.read_text().replace("img004", "img999"))
    with pytest.raises(UserError, match=r"is of other labels: .* has no labeled-data/img999.png"):
        review(tmp_path / "evaluation")
