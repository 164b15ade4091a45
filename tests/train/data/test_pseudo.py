"""What is sure, absent or unknown, which frames are taken, and what each counts in batch and loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rt_pose.errors import UserError
from rt_pose.offline.ensemble import ensemble_of, smooth_single
from rt_pose.offline.prediction_files import Predictions
from rt_pose.package import InputSpec
from rt_pose.types import FloatArray
from train.config import AugmentConfig
from train.data.batches import TrainingBatches
from train.data.diversity import MAX_OUTLIERS, farthest_points, outliers, poses_of
from train.data.frame_index import near_labeled, without_frame_index
from train.data.labels import LabeledFrames
from train.data.pseudo import Pseudo
from train.distillation.confidence import EnsembleConfidence, ensemble_confidence, format_confidence
from train.distillation.config import DistillConfig, PseudoConfig
from train.distillation.pseudo_labels import _choose
from train.losses.heatmap import LossInputs, heatmap_js, heatmap_kl, heatmap_mse

NAMES = ["nose", "paw", "tail"]
F = 30


def _members(offset_px: float = 0.0, low: tuple[int, ...] = ()) -> list[Predictions]:
    """Three members of a still animal; the third has the paw elsewhere in frame 10, and those in `low` see no
    tail."""
    members = []
    for m in range(3):
        xy = np.tile([[20.0, 20.0], [50.0, 40.0], [70.0, 60.0]], (F, 1, 1))
        likelihood = np.full((F, 3), 0.9)
        if m == 2:
            xy[10, 1, 0] += offset_px
        if m in low:
            likelihood[:, 2] = 0.02
        members.append(Predictions(NAMES, [str(i) for i in range(F)], xy, likelihood))
    return members


def _score(members: list[Predictions], sure_px: float = 3.0, known: bool = True) -> EnsembleConfidence:
    ensemble = ensemble_of(members)
    return ensemble_confidence(
        members, ensemble, smooth_single(ensemble), PseudoConfig(), sure_px, (100, 80), known
    )


def test_doubt_is_how_far_the_members_are_from_the_smoothed_keypoint() -> None:
    found = _score(_members(offset_px=12.0))
    np.testing.assert_allclose(found.uncertainty_px[10, 1], 12 / np.sqrt(3), rtol=1e-3)
    assert not found.confident[10, 1]
    assert found.confident.sum() == F * 3 - 1
    assert _score(_members(offset_px=12.0), sure_px=8.0).confident.all()
    assert _score(_members(offset_px=4.0)).confident.all()


def test_the_smoothers_own_variance_is_doubt_too() -> None:
    """Where nobody sees a keypoint for long, the members agree on nothing and the smoother guesses."""
    members = _members()
    for member in members:
        member.xy[5:25, 0] = np.nan
        member.xy[:, 0, 0] += 3.0 * np.sin(np.arange(F))  # it moves
    found = _score(members, sure_px=3.0)
    assert found.confident[:4, 0].all()
    assert not found.confident[5:25, 0].any()


@pytest.mark.parametrize(
    ("low", "known", "confident", "absent"),
    [
        ((), True, True, False),
        ((2,), True, True, False),  # one of three, and the mean is still high
        ((1, 2), True, False, False),  # most, but one has it: unknown
        ((0, 1, 2), True, False, True),
        ((0, 1, 2), False, False, False),  # low confidence tells nothing where absence was never taught
    ],
)
def test_absent_is_what_most_are_sure_to_be_absent_and_none_has(
    low: tuple[int, ...], known: bool, confident: bool, absent: bool
) -> None:
    found = _score(_members(low=low), known=known)
    assert (found.confident[:, 2] == confident).all()
    assert (found.absent[:, 2] == absent).all()
    assert found.confident[:, :2].all()


def test_what_lies_outside_the_image_is_not_sure() -> None:
    members = _members()
    for member in members:
        member.xy[:, 2, 1] = 80.2
    assert not _score(members).confident[:, 2].any()


def test_shares_are_said_for_each_keypoint() -> None:
    lines = format_confidence(NAMES, [_score(_members(12.0, low=(0, 1, 2)))])
    assert lines[1].startswith("  paw   confident  96.7%  absent   0.0%  unknown   3.3%  uncertainty ")
    assert lines[2].startswith("  tail  confident   0.0%  absent 100.0%  unknown   0.0%")


def test_frames_are_taken_that_differ() -> None:
    random = np.random.default_rng(0)
    corners = np.array([[0.0, 0], [100, 0], [0, 100], [100, 100]])
    poses = np.concatenate([corner + random.normal(0, 1, (50, 2)) for corner in corners])
    taken = farthest_points(poses, 4)
    assert sorted(taken // 50) == [0, 1, 2, 3], "one of each heap"
    assert len(farthest_points(np.zeros((9, 2)), 5)) == 1, "equal poses count once"
    assert farthest_points(poses, 1000).tolist() == list(range(200))


def test_a_doubtful_keypoint_makes_no_pose_rare() -> None:
    xy = np.tile([[10.0, 10.0], [20.0, 20.0]], (5, 1, 1))
    xy[3, 1] = 500.0
    confident = np.ones((5, 2), bool)
    assert np.abs(poses_of(xy, confident)[3]).max() > 300
    confident[3, 1] = False
    assert np.abs(poses_of(xy, confident)).max() == 0


def _animal(random: np.random.Generator) -> EnsembleConfidence:
    """That walks for 400 frames, rears for 12 of them, and is thrice mistaken for something else."""
    turn = np.linspace(0, 40, 400)
    xy = np.stack(
        [np.stack([100 + 20 * np.sin(turn + k), 50 + 10.0 * k + 0 * turn], -1) for k in range(3)], 1
    )
    xy[200:212, 0] += [0.0, -60.0]
    for i, frame in enumerate((50, 150, 350)):
        xy[frame, i] += random.uniform(100, 150, 2)
    confident = np.ones(xy.shape[:2], bool)
    return EnsembleConfidence(
        xy + random.normal(0, 0.5, xy.shape), np.ones(xy.shape[:2]), confident, ~confident
    )


def test_a_pose_like_no_other_is_not_taken_and_a_rare_one_is() -> None:
    found = _animal(np.random.default_rng(1))
    config = DistillConfig(pseudo=PseudoConfig(frames=10))
    poses = poses_of(found.xy, found.confident)
    assert {50, 150, 350} <= set(farthest_points(poses, 10).tolist()), "they are what is farthest"
    (taken,), alone = _choose(config, [found], [np.zeros(400, bool)], 3.0)
    assert not {50, 150, 350} & set(taken.tolist())
    assert 3 <= alone <= 20
    assert ((taken >= 200) & (taken < 212)).any()


def test_poses_are_compared_with_an_even_share_of_many() -> None:
    random = np.random.default_rng(2)
    poses = np.concatenate([random.normal(0, 1, (4500, 2)), [[500.0, 0.0]]])
    found = outliers(poses)
    assert found[-1]
    assert found.mean() <= MAX_OUTLIERS
    assert not outliers(np.zeros((50, 4))).any()
    assert not outliers(poses[-3:]).any(), "too few to tell"


def test_frames_beside_one_that_validates_are_not_taken() -> None:
    names = [
        "labeled-data/walk/img0120.png",
        "walk/frame_000300",
        "other/img0200.png",
        "labeled-data/img7.png",
    ]
    near = near_labeled(names, "walk", 400, 10)
    assert np.flatnonzero(near).tolist() == [*range(110, 131), *range(290, 311)]
    assert without_frame_index(names) == 1, "the last; the third is of another video"
    found = _animal(np.random.default_rng(1))
    config = DistillConfig(pseudo=PseudoConfig(frames=1000))
    (taken,), _ = _choose(config, [found], [near], 3.0)
    assert len(taken) > 300
    assert not near[taken].any()
    with pytest.raises(UserError, match=r"pseudo\.margin: every frame .* within 10"):
        _choose(config, [found], [np.ones(400, bool)], 3.0)


def _frames(count: int, level: int, xy: FloatArray) -> LabeledFrames:
    images = [np.full((80, 100, 1), level + i, np.uint8) for i in range(count)]
    return LabeledFrames(
        [str(i) for i in range(count)], images, xy, np.full(xy.shape[:2], 2, np.uint8), NAMES
    )


def test_batches_hold_labels_and_pseudo_labels_in_the_stated_share() -> None:
    labels = np.tile([[20.0, 20.0], [50.0, 40.0], [70.0, 60.0]], (5, 1, 1))
    guessed = np.where(np.array([True, False, True])[None, :, None], labels[:4] + 1, np.nan)
    weights = np.tile([0.5, 0.0, 0.5], (4, 1))
    spec = InputSpec(96, 64, 1, [0.0], [1.0])
    off = AugmentConfig(0, 0, 0, 0, 0, 0)
    true = _frames(5, 10, labels)
    pseudo = Pseudo(_frames(4, 200, guessed), weights, 2, {})
    batches = list(TrainingBatches(true, spec, off, 6, 5, seed=3, pseudo=pseudo))
    levels = np.array([batch.images[:, 0, 0, 0].round().tolist() for batch in batches])
    assert set(levels[:, :4].ravel()) == {10, 11, 12, 13, 14}
    first = levels[:, 4:].ravel()
    assert sorted(first[:4]) == sorted(first[4:8]) == [200, 201, 202, 203], "each once before any again"
    for batch in batches:
        assert batch.weights is not None
        assert batch.weights.tolist() == [[1.0] * 3] * 4 + [[0.5, 0.0, 0.5]] * 2
        assert torch.isnan(batch.keypoints[4:, 1]).all()
    assert next(iter(TrainingBatches(true, spec, off, 4, 5, seed=3))).weights is None


@pytest.mark.parametrize("loss", [heatmap_kl, heatmap_js, heatmap_mse])
@pytest.mark.parametrize("blank_is_absent", [False, True])
def test_nothing_is_learned_from_what_is_unknown(loss: object, blank_is_absent: bool) -> None:
    logits = torch.randn(2, 3, 16, 24, generator=torch.manual_seed(0)).requires_grad_()
    keypoints = torch.tensor([[20.0, 20.0], [50.0, 40.0], [70.0, 60.0]]).repeat(2, 1, 1)
    keypoints[1, 1:] = torch.nan  # the paw is unknown, the tail absent where that can be
    weights = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.0, 0.5]])
    loss(LossInputs(logits, keypoints, blank_is_absent, 4, weights)).backward()  # type: ignore[operator]
    assert logits.grad is not None
    learned = logits.grad.abs().sum(dim=(2, 3)) > 0
    assert learned.tolist() == [[True, True, True], [True, False, blank_is_absent]]


def test_a_pseudo_label_counts_its_weight_and_labels_alone_count_as_ever() -> None:
    logits = torch.randn(2, 1, 16, 24, generator=torch.manual_seed(1))
    keypoints = torch.tensor([[[20.0, 20.0]], [[50.0, 40.0]]])

    def mean(weights: torch.Tensor | None) -> float:
        return float(heatmap_kl(LossInputs(logits, keypoints, False, 4, weights)))

    first, second = (
        float(heatmap_kl(LossInputs(logits[i : i + 1], keypoints[i : i + 1], False, 4))) for i in (0, 1)
    )
    assert mean(torch.tensor([[1.0], [0.25]])) == pytest.approx((first + 0.25 * second) / 1.25)
    assert mean(None) == mean(torch.ones(2, 1)) == pytest.approx((first + second) / 2)
    assert mean(torch.zeros(2, 1)) == 0.0
