"""`rt-pose train fit --seeds`: one network a seed, for an ensemble. After an interruption it can be resumed.

Each lies in OUT/seed-N as a single training lies in its OUT. All keep back the same frames. A network that is
done with these settings and labels is not trained again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from rt_pose.console import warnings_only
from rt_pose.errors import UserError
from train.config import TrainConfig
from train.fitting.ensemble_member import MemberTraining, member_of, state
from train.fitting.fit import check_step_memory
from train.fitting.inputs import choose_folder, prepare
from train.fitting.job import Job
from train.fitting.parallel_jobs import run_in_parallel, run_sequentially
from train.support.disk import check_start

_LOG = logging.getLogger(__name__)


@dataclass
class EnsembleOutcome:
    """How the trainings of the members ended."""

    out: Path
    trained: list[MemberTraining] = field(default_factory=list)
    done_before: list[MemberTraining] = field(default_factory=list)
    failed: list[tuple[MemberTraining, str]] = field(default_factory=list)
    """With the reason."""
    remaining: list[MemberTraining] = field(default_factory=list)
    """Interrupted, or not started."""

    @property
    def packages(self) -> list[Path]:
        """Packages of all members that are done, in order of their seeds."""
        done = sorted([*self.trained, *self.done_before], key=lambda member: member.seed)
        return [member.folder / "package" for member in done]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C stopped a member, or kept one from starting; one that failed does not count."""
        return bool(self.remaining)

    @property
    def whole(self) -> bool:
        """Whether every member is trained."""
        return not self.failed and not self.remaining


def read_seeds(text: str) -> list[int]:
    """Read a list of seeds such as `0,1,2`.

    Parameters
    ----------
    text
        Two or more different integers of 0 or more, with commas between them.

    Returns
    -------
    list of int
        In the order given.

    Raises
    ------
    UserError
        Where the text is anything else.
    """
    cells = [cell.strip() for cell in text.split(",")]
    if not text.strip():
        raise UserError("--seeds: empty; give two or more, as in `--seeds 0,1,2,3,4`")
    for cell in cells:
        if not (cell.isascii() and cell.isdigit()):
            raise UserError(
                f"--seeds {text}: expected integers of 0 or more with commas between, got '{cell}'; as in "
                "`--seeds 0,1,2,3,4`"
            )
    seeds = [int(cell) for cell in cells]
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise UserError(
            f"--seeds {text}: {', '.join(map(str, twice))} more than once: one seed twice is one network"
        )
    if len(seeds) == 1:
        raise UserError(
            f"--seeds {text}: one network is no ensemble; give two seeds or more, or `--seed {seeds[0]}` for "
            "a single training"
        )
    return seeds


def fit_seeds(config: TrainConfig, seeds: list[int], jobs: int) -> EnsembleOutcome:
    """Train the members that are not done.

    Parameters
    ----------
    config
        Of the ensemble; `out` is its folder.
    seeds
        Seed of each member.
    jobs
        Trainings at a time: 1 trains in this process, more in processes of their own.

    Returns
    -------
    EnsembleOutcome
        A member that fails is listed with its reason; the others are still trained.

    Raises
    ------
    UserError
        Before the first training, where the configuration, labels or videos cannot be used.
    """
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: expected at least 1")
    if config.devices > 1:
        # Lightning would start this program again for each GPU, in the midst of the first member.
        raise UserError(
            f"devices: {config.devices}: with --seeds each network trains on one GPU; set `devices: 1`, or "
            "train the seeds one by one, each with `--seed`, `--split_seed` and an --out of its own"
        )
    out = choose_folder(None, config.out, "out")
    check_start(out)
    config = replace(config, out=str(out))
    with warnings_only():  # each member logs the same again
        job = prepare(config)
    outcome = _outcome_so_far(out, job, seeds)
    _LOG.info(f"{len(seeds)} members, {len(outcome.done_before)} of them done before")
    todo = list(outcome.remaining)
    if not todo:
        return outcome
    side = min(jobs, len(todo))
    check_step_memory(job, trainings=side)
    ended = run_in_parallel(config, todo, side) if jobs > 1 else run_sequentially(config, todo)
    for end in ended:
        if end.how == "interrupted":
            _LOG.info(f"{end.member.name}: interrupted")
            continue
        outcome.remaining.remove(end.member)
        if end.how == "failed":
            outcome.failed.append((end.member, end.reason))
            _LOG.info(f"{end.member.name}: failed: {end.reason}")
        else:
            outcome.trained.append(end.member)
        if outcome.remaining:
            _LOG.info(f"remain: {', '.join(member.name for member in outcome.remaining)}")
    return outcome


def _outcome_so_far(out: Path, job: Job, seeds: list[int]) -> EnsembleOutcome:
    """The members that an earlier call trained as `job` would, and those that remain."""
    outcome = EnsembleOutcome(out)
    for member in (member_of(out, seed) for seed in seeds):
        known, differs = state(member, job)
        if known == "stale":
            _LOG.info(f"{member.name} was trained otherwise and will be trained again: {'; '.join(differs)}")
        (outcome.done_before if known == "done" else outcome.remaining).append(member)
    return outcome


def conclude(outcome: EnsembleOutcome) -> bool:
    """Report how the trainings ended and what to type next.

    Parameters
    ----------
    outcome
        Of `fit_seeds`.

    Returns
    -------
    bool
        Whether all members are done.
    """
    trained, before, failed = len(outcome.trained), len(outcome.done_before), len(outcome.failed)
    _LOG.info(f"{trained} trained, {before} done before, {failed} failed, {len(outcome.remaining)} remain")
    for member, reason in outcome.failed:
        _LOG.info(f"failed: {member.name}: {reason}")
    if outcome.remaining:
        _LOG.info(f"remain: {', '.join(member.name for member in outcome.remaining)}")
    if not outcome.whole:
        _LOG.info("the same command once more resumes these")
        return False
    _LOG.info(f"one prediction of all: rt-pose predict --model {outcome.out} --video VIDEO --out poses.csv")
    return True
