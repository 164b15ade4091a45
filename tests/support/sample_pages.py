"""A page of each kind, from made-up or recorded figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import page as accuracy
from bench.latency import page as latency
from bench.openfield import page as openfield
from bench.probability import page as probability
from bench.tracking import page as tracking
from rt_pose.audit.hindsight import Curve, Episode, Hindsight, Score, Scored
from rt_pose.clock import NS_PER_MS
from rt_pose.reports.hindsight_page import page as hindsight_page
from rt_pose.reports.pictures import data_uri
from rt_pose.reports.session_page import page as session_page
from rt_pose.reports.session_report import figures
from rt_pose.session.read import Session
from train.evaluation.page import page as evaluation_page
from train.evaluation.pictures import Picture

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
LONG_NAME = "the_left_hand_reaches_beyond_the_second_bar_and_stays_there"
PROCESSOR = {
    "source": "lamp.py:Lamp",
    "camera": "top",
    "calls": 1200,
    "skipped": 3,
    "exceptions": 2,
    "first_exception": "ValueError: no lamp (lamp.py, line 12)",
    "slowest_ms": 12.3,
}


def sample_pages(session_dir: Path) -> dict[str, str]:
    """HTML of each, by the name of its kind; the session is the synthetic one."""
    return {
        "session": session(session_dir),
        "hindsight": hindsight_page([hindsight()], "first"),
        "evaluation": evaluation(),
        "accuracy": accuracy.page(recorded("2026-11-25-accuracy")),
        "openfield": openfield.page(recorded("2026-11-25-openfield")),
        "probability": probability.page(recorded("2026-11-24-probability")),
        "tracking": tracking.page(recorded("2026-11-24-tracking")),
        "latency": latency.page(recorded("2026-11-25-latency"), drawn()),
    }


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def session(session_dir: Path) -> str:
    """With zones, a rule of a long name that names one, and a processor."""
    read = Session.read(session_dir)
    read.info.config |= {
        "zones": {"corner": {"box": [20.0, 20.0, 120.0, 120.0]}, "nest": {"circle": [200.0, 60.0, 30.0]}},
        "rules": [
            {"name": "corner", "when": "inside(nose, corner)"},
            {"name": LONG_NAME, "when": "x(nose) > 900"},
        ],
    }
    read.info.processors = {"lamp": PROCESSOR}
    return session_page(read, figures(read))


def hindsight() -> Hindsight:
    t_ns = np.arange(0, 40_000, 20) * NS_PER_MS
    value = np.sin(t_ns / 1e9)
    hit, missed = (
        Episode(s * 1000 * NS_PER_MS, s * 1000 * NS_PER_MS, (s + 2) * 1000 * NS_PER_MS, False) for s in (1, 8)
    )
    verdicts = [(1100, "hit"), (1900, "repeat"), (5000, "false alarm")]
    events = [Scored(t * NS_PER_MS, "fired", "", verdict) for t, verdict in verdicts]
    events[0].delay_ms = 100.0
    curve = Curve(LONG_NAME, "top", 0, t_ns, value, [hit, missed], [missed], events)
    return Hindsight("the smoothed session", 100.0, 40.0, [Score(LONG_NAME, [curve])])


def drawn() -> dict[str, Any]:
    """What a latency run drew."""
    seconds = np.linspace(0, 60, 600)
    return {
        "seconds": seconds,
        "to_decision_ms": 4 + np.sin(seconds),
        "bare": [(-0.5, 2.0), (60.5, 2.1)],
        "drops_s": [10.0],
        "drops": [("capture", "superseded by a newer frame", 2)],
    }


def evaluation() -> str:
    error = {"n": 36, "median_px": 1.5, "mean_px": 2.1, "p90_px": 4.0}
    error["pck"] = {"2": 0.6, "5": 0.93, "10": 0.99}  # type: ignore[assignment]
    step = {
        "n": 297,
        "median_px": 1.0,
        "mean_px": 1.2,
        "p90_px": 2.0,
        "p99_px": 5.0,
        "p99_9_px": 9.0,
        "max_px": 12.0,
    }
    jitter = {
        "noise": {"n": 30, "median_px": 0.1, "p95_px": 0.4},
        "bf16": {"n": 30, "median_px": 0.05, "p95_px": 0.2},
    }
    held = {
        "n": 36,
        "held": {"0.5": 0.4, "0.8": 0.7, "0.9": 0.85, "0.95": 0.9, "0.99": 0.97},
        "median_sigma_px": 1.4,
        "factor": 1.3,
    }
    bins = {"claimed": [0.1, 0.5, 0.9], "found": [0.2, 0.5, 0.95], "n": [4, 8, 24]}
    labels = {
        "frames": 12,
        "pixel_error": {**error, "per_keypoint": {name: error for name in ("nose", "paw", "tail_base")}},
        "confidence": {"error": 0.05, "bias": 0.01, "right_px": 5.0, **bins},
        "jitter": jitter,
        "covariance": {"network": held, "filter": held},
    }
    film = {"frames": 100, "rate_hz": 30.0, "seen_share": 0.98, "temporal_norm": {"all": step, "sure": step}}
    found = {
        "model": {"sha256": "ab" * 32, "covariance": "of 48 labels 48, 88 and 98 %"},
        "engine": "openvino on the processor, float32",
        "data": {"folder": "mouse", "split": "of split.csv"},
        "spaces": {"pca_singleview_error": {"poses": 60, "components": 3}},
        "labels": {"validation": labels},
        "videos": {"film.mp4": {**film, "jitter": jitter}},
    }
    grey = np.random.default_rng(0).integers(0, 255, (140, 140, 1), dtype=np.uint8)
    shown = [
        Picture(
            data_uri(grey, "png"),
            (140, 140),
            (70.0, 70.0),
            (80.0, 60.0),
            f"paw, img{i:04}.png: 14.1 px, confidence 0.42",
        )
        for i in range(6)
    ]
    steps = np.random.default_rng(1).gamma(2.0, 1.0, (100, 3))
    return evaluation_page(
        found, {"labels": shown, "film.mp4": shown}, {"film.mp4": {"temporal_norm": steps}}
    )
