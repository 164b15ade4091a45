"""The program's own publisher, fed with a made-up animal: something to look at without a rig.

`python -m support.fake_publisher tcp://127.0.0.1:5790` (from `tests/`) publishes until Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock, HostClock
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.publish import Publisher
from rt_pose.types import Ack, Event, FrameStamps, Outcome, Pose, Track

KEYPOINTS = ["nose", "left_ear", "right_ear", "neck", "spine", "hips", "tail"]
BONES = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5), (5, 6)]
WIDTH, HEIGHT = 640, 480
SCALE = 2
"""Frame px in one published px."""
ZONE = (470.0, 150.0, 70.0)
RATE_HZ = 100
FRAME_EVERY, STATS_EVERY, META_EVERY = 7, 50, 500
EFFECT_S = 0.06


def body(t_s: float) -> NDArray[np.float64]:
    """Keypoints (K, 2) px of the animal at a time: it runs an eight and wags."""

    def spine(s: float) -> NDArray[np.float64]:
        pace = s + 0.25 * np.sin(1.7 * s)
        return np.array([320 + 210 * np.sin(pace), 240 + 130 * np.sin(2 * pace)])

    points = [spine(t_s - lag) for lag in (0.0, 0.12, 0.12, 0.2, 0.36, 0.52, 0.78)]
    ahead = points[0] - points[3]
    side = np.array([-ahead[1], ahead[0]]) / max(float(np.hypot(*ahead)), 1e-6)
    points[1] = points[1] + 13 * side
    points[2] = points[2] - 13 * side
    points[6] = points[6] + 9 * np.sin(9 * t_s) * side
    return np.array(points)


def picture(t_s: float) -> NDArray[np.uint8]:
    """The reduced camera image (H/2, W/2) gray."""
    rows, columns = np.mgrid[0 : HEIGHT // SCALE, 0 : WIDTH // SCALE]
    image = (150 + 18 * np.sin(columns / 21) * np.cos(rows / 17)).astype(np.uint8)
    for lag, radius in ((0.02, 6), (0.1, 9), (0.2, 11), (0.3, 13), (0.4, 14), (0.5, 12), (0.6, 6), (0.7, 3)):
        x, y = body(t_s - lag)[0] / SCALE
        cv2.circle(image, (round(x), round(y)), radius, 60, -1, cv2.LINE_AA)
    noise = np.random.default_rng(round(t_s * 1000)).normal(0, 4, image.shape)
    return np.clip(cv2.GaussianBlur(image, (5, 5), 0) + noise, 0, 255).astype(np.uint8)


class FakePublisher:
    """One session of the made-up animal; close it, or use it in a `with`."""

    def __init__(
        self,
        clock: Clock,
        session: str,
        address: str = "tcp://127.0.0.1:*",
        cameras: tuple[str, ...] = ("top",),
    ) -> None:
        self.publisher = Publisher(address, session, clock)
        self.address = self.publisher.address
        self.cameras = cameras
        self._clock = clock

    def meta(
        self,
        keypoints: list[str] = KEYPOINTS,
        control: str = "tcp://127.0.0.1:5791",
        zones: dict[str, Any] | None = None,
        geometry: dict[str, Any] | None = None,
        rules: dict[str, str] | None = None,
        views: dict[str, Any] | None = None,
    ) -> None:
        """What a late joiner must know."""
        x, y, r = ZONE
        rules = rules or {"corner-light": "inside(nose, corner)", "dart-tone": "speed(nose) > 500"}
        size = {"width": WIDTH, "height": HEIGHT, "channels": 1, "rate_hz": float(RATE_HZ)}
        self.publisher.send(
            "meta",
            {
                "keypoints": keypoints,
                "skeleton": [list(bone) for bone in BONES],
                "package": "0" * 64,
                "cameras": {camera: size for camera in self.cameras},
                "zones": zones or {"corner": {"circle": [x, y, r]}},
                "rules": list(rules),
                "outputs": ["light"],
                "budget_ms": 50.0,
                "config": {
                    "geometry": geometry or {},
                    "rules": [{"name": name, "when": when} for name, when in rules.items()],
                },
                "control": control,
                "views": views or {},
            },
        )

    def pose(
        self,
        index: int,
        t_s: float,
        camera: str = "top",
        decision_ms: float = 6.0,
        lost: int | None = None,
        exposed_ms_ago: float = 8.0,
        individuals: int = 1,
    ) -> None:
        """Pose and prediction of the animal at `t_s`."""
        t_ns = self._clock.now_ns() - round(exposed_ms_ago * NS_PER_MS)
        stamps = FrameStamps(index, t_ns, t_ns, t_ns)
        here = self._track(index, t_s, camera, t_ns, 4.0, individuals)
        ahead_ns = t_ns + round(EFFECT_S * NS_PER_S)
        ahead = self._track(index, t_s + EFFECT_S, camera, ahead_ns, 14.0, individuals)
        if lost is not None:
            here.lost[0, lost] = True
        pose = Pose(camera, stamps, here.xy, here.cov[..., :2, :2], np.full(here.lost.shape, 0.9))
        latency = FrameLatency(
            image_to_pose=decision_ms - 1,
            image_to_decision=decision_ms,
            engine=decision_ms - 2,
            exposure_to_decision=decision_ms + 3,
        )
        self.publisher.pose(pose, here, latency, decision_ms + 3 <= 50, 0)
        self.publisher.pose(pose, ahead, latency, decision_ms + 3 <= 50, 0, kind="prediction")

    def frame(self, index: int, image: NDArray[np.uint8], camera: str = "top", jpeg: bool = True) -> None:
        """A reduced frame, gray (H, W)."""
        data = cv2.imencode(".jpg", image)[1].tobytes() if jpeg else image.tobytes()
        height, width = image.shape
        header = {
            "frame": index,
            "t_exposure_ns": self._clock.now_ns(),
            "encoding": "jpeg" if jpeg else "raw",
            "width": width,
            "height": height,
            "channels": 1,
            "scale_x": WIDTH / width,
            "scale_y": HEIGHT / height,
        }
        self.publisher.send(f"frame/{camera}/", header, data)

    def event(
        self, rule: str, outcome: Outcome, reason: str = "", camera: str = "top", blind: bool = False
    ) -> None:
        """An event, judged now; one that fired is acknowledged too."""
        now = self._clock.now_ns()
        event = Event(1, rule, 0, outcome, reason, None, 1.0, camera, 0, now, now, now, True)
        self.publisher.event(event, blind)
        if outcome == "fired":
            self.publisher.ack(Ack(1, "light", now, now, None, True))

    def stats(
        self, dropped: int = 0, missed: int = 0, n: int = 1000, armed: bool = True, **more: Any
    ) -> None:
        """What the loop says of itself."""
        latency = {"n": n, "p50": 6.0, "p90": 7.4, "p99": 9.1, "p99_9": None, "max": 14.0}
        stats = {
            "rate_hz": float(RATE_HZ),
            "frames": {"captured": n + dropped, "processed": n},
            "dropped": {"slot": dropped},
            "latency_ms": {"image_to_decision": latency, "decision_to_ack": None},
            "deadline": {"budget_ms": 50.0, "missed": missed, "n": n},
            "armed": armed,
            "lost_tracks": 0,
            "records_refused": 0,
            **more,
        }
        self.publisher.send("stats", {"stats": stats})

    def close(self) -> None:
        """The publisher is gone."""
        self.publisher.close()

    def __enter__(self) -> FakePublisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _track(
        index: int, t_s: float, camera: str, t_ns: int, variance: float, individuals: int = 1
    ) -> Track:
        times = [t_s + 1.3 * who for who in range(individuals)]
        xy = np.array([body(t) for t in times])
        velocity = np.array([body(t + 1e-3) - body(t - 1e-3) for t in times]) / 2e-3
        cov = np.zeros((*xy.shape[:2], 4, 4))
        spread = variance * np.linspace(0.6, 3.0, len(KEYPOINTS))
        cov[..., 0, 0], cov[..., 1, 1], cov[..., 0, 1] = spread, 0.6 * spread, 0.3 * spread
        cov[..., 1, 0] = cov[..., 0, 1]
        unseen = np.zeros(xy.shape[:2])
        return Track(camera, index, t_ns, xy, velocity, cov, unseen, unseen.astype(bool))


def main(address: str, session: str) -> None:
    """Publish at the pace of a camera until Ctrl-C."""
    clock = HostClock()
    rng = np.random.default_rng(0)
    inside = False
    dropped = missed = 0
    with FakePublisher(clock, session, address) as fake:
        start = clock.now_ns()
        index = 0
        while True:
            clock.sleep_until_ns(start + index * NS_PER_S // RATE_HZ)
            t_s = index / RATE_HZ
            decision_ms = float(5.2 + rng.gamma(2.0, 0.5) + (52 if rng.random() < 0.001 else 0))
            missed += decision_ms + 3 > 50
            if index % META_EVERY == 0:
                fake.meta()
            fake.pose(index, t_s, decision_ms=decision_ms, lost=6 if t_s % 4 < 0.5 else None)
            if index % FRAME_EVERY == 0:
                fake.frame(index, picture(t_s))
            was, inside = inside, bool(np.hypot(*(body(t_s)[0] - ZONE[:2])) < ZONE[2])
            if inside and not was:
                fake.event("corner-light", "fired")
            if index % 170 == 30:
                fake.event("dart-tone", "suppressed", "refractory")
            if index % STATS_EVERY == 0:
                fake.stats(dropped, missed, max(index, 1))
            index += 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "0190f1e2-7a3b-7c4d-8e5f-a1b2c3d4e5f6")
