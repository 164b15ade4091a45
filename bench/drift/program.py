"""How often the drift detector gives alarm where nothing has changed, and how soon where something has.

    python -m bench.drift --data SHARED --work WORK --model PACKAGE --rig-model PACKAGE [--parts mouse poses]

mouse: a package of the mirror mouse, calibrated (a copy in WORK) on the first half of its recording. The
second half and another day's recording should give no alarm; the second half with another light, from another
place, of another size, and other animals' recordings should. What lasts seconds is played to and fro.
rig: a package of the simulated rig, as `rt-pose demo` trains one, calibrated on recordings of three animals
in three arenas. Sessions of two others should give no alarm, by these recordings and by their own first half;
one of them should when it is changed.
poses: no package. What other laboratories' networks found in recordings, fitted to the first half of each; a
camera that was moved is put into the poses themselves.

Before every set of changes stands the control: the same, played on without a change. An alarm that the
control gives too is none of the change, and stands in brackets. Nothing that is measured here has chosen a
limit. Outputs of networks are kept in WORK.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from bench.drift.alterations import LIGHT, MOVES, SIZES, Alter, Image, moved, moved_poses
from bench.drift.outputs import ENGINE, NetworkOutputs, play, to_and_fro
from bench.drift.rig import CALIBRATION_SEEDS, SESSION_SEEDS, rig_frames, write_film
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rt_pose.errors import UserError
from rt_pose.offline.drift_fit import fit_drift
from rt_pose.offline.innovations import Recorded, fit_parameters
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import DriftSpec, Package, TrackingSpec, read_package
from rt_pose.video import Channels, probe, read_frames
from train.calibrate import GATE_CHI2, calibrate
from train.calibrate_config import CalibrateConfig

PARTS = ("mouse", "rig", "poses")
PLAYED_S = 60.0
"""How long a recording of some seconds is played to and fro."""
BEFORE_S, AFTER_S = 20.0, 60.0
"""How long a recording is played as it is before it is changed, and how long then."""
RIG_CALIBRATION_S = 200.0
CONTROL = ("control", "nothing changed")
MIN_CONFIDENCE = 0.15
SERIES = {
    "openfield-dlc/predictions": (30.0, (640, 480)),
    "eks-ensembles/ibl-pupil": (150.0, (300, 300)),
}
"""Folders of predictions: frames a second, and size of the frames (that of the pupils is about theirs)."""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    data: Annotated[Path, "folder of the recordings"]
    work: Annotated[Path, "folder for calibrated packages and outputs of networks, kept"]
    model: Annotated[Path | None, "package of the mirror mouse"] = None
    rig_model: Annotated[Path | None, "package of the simulated rig"] = None
    rig_minutes: Annotated[float, "length of the rig's sessions together"] = 120.0
    rig_rate: Annotated[int, "frames a second of the rig"] = 60
    parts: Annotated[list[str], "only these", PARTS] = field(default_factory=lambda: list(PARTS))
    out: Out = None


def mark_like_control(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark the alarms that come without the change too.

    Parameters
    ----------
    rows
        What `Detector.changed` returned, the control first.

    Returns
    -------
    list[dict[str, Any]]
        The rows, each with `like_control`: whether its alarm is the control's, at the same time by the same
        statistics.
    """
    control = rows[0]
    for row in rows:
        same = row["statistics"] == control["statistics"] and row["delay_s"] == control["delay_s"]
        row["like_control"] = row["delay_s"] is not None and same
    return rows


@dataclass(frozen=True)
class Detector:
    """A filter and a drift detector that were fitted."""

    tracking: TrackingSpec
    drift: DriftSpec

    def quiet(self, what: str, recorded: Recorded, seconds: float | None = None) -> dict[str, Any]:
        """Play what should give no alarm.

        Parameters
        ----------
        what
            Its name.
        recorded
            What a network saw.
        seconds
            How long it is played, to and fro, s; None: once.

        Returns
        -------
        dict[str, Any]
            A row of figures.
        """
        played = recorded if seconds is None else to_and_fro(recorded, seconds)
        found = play(self.drift, self.tracking, played)
        return {"what": what, "seconds": len(recorded.xy) * recorded.dt_s, **asdict(found)}

    def changed(self, what: str, change: str, before: Recorded, after: Recorded) -> dict[str, Any]:
        """Play what should give alarm, after what should not.

        Parameters
        ----------
        what, change
            Kind of the change, and its name.
        before, after
            What a network saw without the change and with it.

        Returns
        -------
        dict[str, Any]
            A row of figures; `delay_s` is None where there was no alarm.
        """
        first = to_and_fro(before, BEFORE_S)
        found = play(self.drift, self.tracking, first, to_and_fro(after, AFTER_S))
        begun_s = len(first.xy) * first.dt_s
        later = [episode for episode in found.episodes if episode["start_s"] > begun_s]
        return {
            "what": what,
            "change": change,
            "alarm_before": len(later) < len(found.episodes),
            "delay_s": later[0]["start_s"] - begun_s if later else None,
            "statistics": later[0]["statistics"] if later else [],
            "highest": found.highest,
        }


def main() -> int:
    """Measure the parts of the command line.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, text)


def measure(options: Options) -> dict[str, Any]:
    """Measure false alarms and delays.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        Where a part needs what was not given.
    """
    makers: dict[str, Callable[[Options], dict[str, Any]]] = {"mouse": _mouse, "rig": _rig, "poses": _poses}
    options.work.mkdir(parents=True, exist_ok=True)
    return {
        "bench": "drift",
        **conditions(),
        "parts": {name: makers[name](options) for name in options.parts},
    }


def _detector(package: Package) -> Detector:
    if package.manifest.drift is None:
        raise UserError(f"model package {package.path}: its recordings were too short for the drift detector")
    return Detector(package.manifest.tracking, package.manifest.drift)


def _calibrated(model: Path, work: Path, videos: list[Path], frames: int) -> Package:
    """A copy of a package, calibrated on the first frames of recordings."""
    source = read_package(model)
    copy = work / f"package-{source.sha256[:12]}-{frames}-of-{len(videos)}"
    if not copy.is_dir():
        say(f"calibrating a copy of {model}")
        part = copy.with_name(f"part-{copy.name}")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(model, part)
        calibrate(CalibrateConfig(str(part), [str(video) for video in videos], frames=frames, engine=ENGINE))
        part.rename(copy)  # one that was interrupted is none
    return read_package(copy)


def _about(package: Package, detector: Detector) -> dict[str, Any]:
    training = package.manifest.training
    return {
        "package": package.sha256,
        "note": training.get("note", ""),
        "error_median_px": training.get("errors", {}).get("median_px"),
        "drift": _limits(detector.drift),
    }


def _limits(drift: DriftSpec) -> dict[str, Any]:
    found = asdict(drift)
    space = found.pop("space")
    return found | {"dimensions": space and f"{len(space['components'])} of {len(space['mean_px'])}"}


def _images(video: Path, channels: Channels, start: int = 0, most: int | None = None) -> Iterator[Image]:
    for frame in islice(read_frames(video, channels), start, None if most is None else start + most):
        yield frame.image.copy()


def _altered(frames: Callable[[], Iterable[Image]], alter: Alter) -> Iterator[Image]:
    return (alter(frame) for frame in frames())


def _mouse(options: Options) -> dict[str, Any]:
    if options.model is None:
        raise UserError("bench.drift: mouse: expected --model PACKAGE, or leave it out of --parts")
    video = options.data / "mirror-mouse" / "videos" / "test_vid.mp4"
    other_day = options.data / "mirror-mouse-other-day" / "180607_004_first500.mp4"
    info = probe(video)
    half, dt_s, size = info.frames // 2, 1.0 / info.rate_hz, (info.width, info.height)
    package = _calibrated(options.model, options.work, [video], half)
    detector, channels = _detector(package), package.manifest.input.channels
    outputs = NetworkOutputs(package, options.work)

    second_half = partial(_images, video, channels, half)
    plain = outputs.of("mouse second half", dt_s, second_half)
    day_s = 1.0 / probe(other_day).rate_hz
    day = outputs.of("mouse other day", day_s, partial(_images, other_day, channels))
    quiet = [
        detector.quiet("second half of test_vid", plain),
        detector.quiet("second half, to and fro", plain, PLAYED_S),
        detector.quiet("another day", day),
        detector.quiet("another day, to and fro", day, PLAYED_S),
    ]
    changed = [detector.changed(*CONTROL, plain, plain)]
    for group, change, alter in _changes():
        series = outputs.of(f"mouse {change}", dt_s, partial(_altered, second_half, alter))
        changed.append(detector.changed(group, change, plain, series))
    for name, path in (
        ("a mouse in an open field", options.data / "openfield-dlc" / "videos" / "m3v1mp4.mp4"),
        ("a dog", options.data / "replay" / "dog_clip.avi"),
    ):
        frames = partial(_altered, partial(_images, path, channels, 0, half), partial(_resized, size))
        series = outputs.of(f"mouse replaced by {name}", dt_s, frames)
        changed.append(detector.changed("another animal", name, plain, series))
    return {**_about(package, detector), "quiet": quiet, "changed": mark_like_control(changed)}


def _resized(size: tuple[int, int], image: Image) -> Image:
    return cv2.resize(image, size).reshape(size[1], size[0], image.shape[2]).astype(np.uint8)


def _changes() -> Iterator[tuple[str, str, Alter]]:
    for change, alter in LIGHT.items():
        yield "another light", change, alter
    for change, move in MOVES.items():
        yield "a moved camera", change, moved(**move)
    for change, move in SIZES.items():
        yield "another animal", change, moved(**move)


def _rig(options: Options) -> dict[str, Any]:
    if options.rig_model is None:
        raise UserError("bench.drift: rig: expected --rig-model PACKAGE, or leave it out of --parts")
    rate = options.rig_rate
    films = []
    for seed in CALIBRATION_SEEDS:
        film = options.work / f"rig-{seed}-{rate}.mkv"
        if not film.is_file():
            write_film(film, rig_frames(seed, rate, RIG_CALIBRATION_S), rate)
        films.append(film)
    package = _calibrated(options.rig_model, options.work, films, round(RIG_CALIBRATION_S * rate))
    detector, outputs = _detector(package), NetworkOutputs(package, options.work)
    each_s = options.rig_minutes * 60.0 / len(SESSION_SEEDS)
    quiet = []
    for seed in SESSION_SEEDS:
        name = f"rig animal {seed} at {rate} for {each_s:.0f} s"
        found = outputs.of(name, 1.0 / rate, partial(rig_frames, seed, rate, each_s))
        quiet.append(detector.quiet(f"animal {seed}, by recordings of others", found))
        quiet.append(_by_its_own_beginning(seed, found))
    rig = partial(rig_frames, SESSION_SEEDS[0], rate, AFTER_S)
    plain = outputs.of(f"rig plain {rate}", 1.0 / rate, rig)
    changed = [detector.changed(*CONTROL, plain, plain)]
    for group, change, alter in _changes():
        series = outputs.of(f"rig {change} {rate}", 1.0 / rate, partial(_altered, rig, alter))
        changed.append(detector.changed(group, change, plain, series))
    about = {**_about(package, detector), "rate_hz": rate}
    return {**about, "quiet": quiet, "changed": mark_like_control(changed)}


def _by_its_own_beginning(seed: int, session: Recorded) -> dict[str, Any]:
    """The second half of a session, by what was usual in its first: the same animal in the same place."""
    first, second = (_frames(session, at) for at in np.array_split(np.arange(len(session.xy)), 2))
    return _fit_detector(first, f"animal {seed}").quiet(f"animal {seed}, by its own first half", second)


def _poses(options: Options) -> dict[str, Any]:
    """The quiet and the changed rows of every network's poses."""
    quiet, changed = [], []
    for folder, (rate_hz, size) in SERIES.items():
        files = [*(options.data / folder).glob("*.h5"), *(options.data / folder).glob("*.csv")]
        for number, path in enumerate(sorted(files), 1):
            table = read_predictions(path)
            cov = np.tile(np.eye(2), (*table.xy.shape[:2], 1, 1))
            whole = Recorded(1.0 / rate_hz, table.xy, cov, table.likelihood)
            first, second = (_frames(whole, at) for at in np.array_split(np.arange(len(table.xy)), 2))
            what = f"{folder}, network {number}"
            detector = _fit_detector(first, f"predictions {path}")
            quiet.append(detector.quiet(what, second))
            rows = [detector.changed(CONTROL[0], f"{what}: {CONTROL[1]}", second, second)]
            for group, changes in (("a moved camera", MOVES), ("another animal", SIZES)):
                for change, move in changes.items():
                    after = moved_poses(second, size, **move)
                    rows.append(detector.changed(group, f"{what}: {change}", second, after))
            changed += mark_like_control(rows)
    return {"note": "networks of other laboratories, without covariances", "quiet": quiet, "changed": changed}


def _frames(recorded: Recorded, at: Any) -> Recorded:
    return replace(recorded, xy=recorded.xy[at], cov=recorded.cov[at], confidence=recorded.confidence[at])


def _fit_detector(recorded: Recorded, whose: str) -> Detector:
    tracking = fit_parameters(
        [recorded], gate_chi2=GATE_CHI2, restart_frames=8, min_confidence=MIN_CONFIDENCE
    ).spec(min_confidence=MIN_CONFIDENCE, gate_chi2=GATE_CHI2)
    drift = fit_drift([recorded], tracking)
    if drift is None:
        raise UserError(f"{whose}: too short for the drift detector")
    return Detector(tracking, drift)


def text(figures: dict[str, Any]) -> str:
    """Format the tables for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    parts = [f"# Drift\n\n{machine_line(figures)}; networks in float32"]
    for name, found in figures["parts"].items():
        parts += [f"## {name}", *_facts(found)]
        rows = [
            [
                row["what"],
                f"{row['seconds']:.0f}",
                f"{row['played_s']:.0f}",
                str(row["alarms"]),
                f"{row['in_alarm_s']:.0f}",
                _levels(row["highest"]),
            ]
            for row in found["quiet"]
        ]
        head = ["nothing changed", "recording, s", "played, s", "alarms", "in alarm, s", "highest levels"]
        parts.append(markdown_table(head, rows))
        rows = [
            [
                f"{row['what']}: {row['change']}",
                _delay(row),
                ", ".join(row["statistics"]) or "-",
                "yes" if row["alarm_before"] else "no",
                _levels(row["highest"]),
            ]
            for row in found["changed"]
        ]
        head = ["changed", "alarm after, s", "by", "alarm before", "highest levels"]
        parts.append(markdown_table(head, rows))
    return "\n\n".join(parts)


def _facts(found: dict[str, Any]) -> Iterator[str]:
    if found.get("note"):
        yield f"Of the network: {found['note']}."
    drift = found.get("drift")
    if drift:
        limits = "; ".join(
            f"{name} {one['mean']:.2f} ± {one['spread']:.2f}, allowance {one['allowance']:.2f}, threshold "
            f"{one['threshold']:.1f}"
            for name, one in drift["limits"].items()
        )
        yield (
            f"Calibrated on {drift['calibration_s']:.0f} s, blocks of {drift['block_s']:.2f} s, pose space "
            f"{drift['dimensions']}: {limits}."
        )


def _delay(row: dict[str, Any]) -> str:
    if row["delay_s"] is None:
        return "none"
    return f"({row['delay_s']:.1f})" if row["like_control"] else f"{row['delay_s']:.1f}"


def _levels(highest: dict[str, float]) -> str:
    return ", ".join(f"{name} {level:.2f}" for name, level in highest.items())
