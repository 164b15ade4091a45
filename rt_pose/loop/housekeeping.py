"""Rare work that must not be done by the loop thread: stats, meta, and pictures for viewers.

It runs on the control socket's thread and leaves finished messages in the publisher's outbox.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.config.schema import PublishConfig
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.control import RequestCounts
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.publish import Publisher
from rt_pose.records import Sink, StatsRecord
from rt_pose.tracking.individuals import IndividualTracker

STATS_PERIOD_NS = NS_PER_S // 2
META_PERIOD_NS, META_PAUSE_NS = 5 * NS_PER_S, NS_PER_S // 10
"""How often it is published, and after how long again on request."""
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class StatsRecords:
    """Where stats are recorded, and how many records that may be shown were refused so far."""

    sink: Sink
    refused: Callable[[], int]


class Housekeeping:
    """Makes `stats` twice a second, `meta` every 5 s, and reduced frames at the viewers' rate."""

    def __init__(
        self,
        loop: ClosedLoop,
        publisher: Publisher,
        rings: dict[str, FrameRing],
        clock: Clock,
        config: PublishConfig,
        records: StatsRecords,
        meta: dict[str, Any],
        on_stats: Callable[[dict[str, Any]], None] | None = None,
        requests: RequestCounts | None = None,
    ) -> None:
        """Make everything due at once.

        Parameters
        ----------
        loop
            Read for its counts and newest frames; never changed, except that a frame for viewers is taken
            once.
        publisher
            Its outbox takes the messages.
        rings
            The cameras' frames, by camera.
        clock
            Times what is due.
        config
            Rate and width of reduced frames.
        records
            Where stats are recorded.
        meta
            What a subscriber must know to read the other messages.
        on_stats
            Called with the stats, twice a second.
        requests
            What became of the requests to the control socket; None where there is no such socket.
        """
        self._loop, self._publisher, self._rings = loop, publisher, rings
        self._clock, self._records, self._meta, self._on_stats = clock, records, meta, on_stats
        self._requests = requests or RequestCounts()
        rate_hz = config.frame_rate_hz
        self._frame_period_ns = round(NS_PER_S / rate_hz) if rate_hz > 0 else None
        self._frame_width_px = config.frame_width_px
        self._copies: dict[str, NDArray[np.uint8]] = {}
        self._next_stats_ns = self._next_meta_ns = self._next_frame_ns = clock.now_ns()
        self._meta_again_ns = clock.now_ns()
        self._last_processed, self._last_stats_ns = 0, clock.now_ns()

    def __call__(self) -> int:
        """Do whatever is due.

        Returns
        -------
        int
            After how many ms the next work is due; at least 1.
        """
        now = self._clock.now_ns()
        if now >= self._next_meta_ns:
            self._next_meta_ns = _next_due(self._next_meta_ns, META_PERIOD_NS, now)
            self.send_meta()
        if now >= self._next_stats_ns:
            self._next_stats_ns = _next_due(self._next_stats_ns, STATS_PERIOD_NS, now)
            self._send_stats(now)
        due_ns = min(self._next_meta_ns, self._next_stats_ns)
        if self._frame_period_ns is not None:
            if now >= self._next_frame_ns:
                self._next_frame_ns = _next_due(self._next_frame_ns, self._frame_period_ns, now)
                for camera in list(self._loop.last_frames):
                    self._send_frame(camera)
            due_ns = min(due_ns, self._next_frame_ns)
        return max(1, (due_ns - now) // NS_PER_MS)

    def send_meta(self) -> dict[str, Any]:
        """Get what a subscriber must know to read the other messages, and publish it unless it just was.

        Returns
        -------
        dict[str, Any]
            The map.
        """
        now = self._clock.now_ns()
        if now >= self._meta_again_ns:
            self._meta_again_ns = now + META_PAUSE_NS
            self._publisher.outbox.append(("meta", self._meta, None))
        return self._meta

    def status(self) -> dict[str, Any]:
        """Get the map of the `stats` topic as of now, for the control socket.

        Returns
        -------
        dict[str, Any]
            Rates (frames/s), counts, latency summaries (ms) and states.
        """
        return self._stats(self._clock.now_ns())

    def _send_stats(self, now: int) -> None:
        stats = self._stats(now)
        self._last_processed, self._last_stats_ns = stats["frames"]["processed"], now
        self._publisher.outbox.append(("stats", {"stats": stats}, None))
        self._records.sink.send(StatsRecord(t_ns=now, stats=stats))
        if self._on_stats is not None:
            self._on_stats(stats)

    def _stats(self, now: int) -> dict[str, Any]:
        loop = self._loop
        captures = loop.captures
        processed = sum(path.processed for path in loop.paths.values())
        elapsed_s = max(1, now - self._last_stats_ns) / NS_PER_S
        return {
            "rate_hz": round((processed - self._last_processed) / elapsed_s, 2),
            "frames": {
                "captured": sum(c.counts.captured for c in captures),
                "processed": processed,
                "device_gaps": sum(c.counts.device_gaps for c in captures),
            },
            "dropped": {
                "capture": sum(c.counts.superseded for c in captures),
                "camera": sum(c.counts.failed for c in captures),
            },
            "cameras_lost": loop.lost_cameras,
            **loop.silence.stats(),
            "latency_ms": loop.ledger.recent(),
            "deadline": {
                "budget_ms": loop.ledger.budget_ms,
                "missed": loop.ledger.missed,
                "n": loop.ledger.evaluated,
            },
            **loop.commands.live_counts(),
            "armed": loop.armed,
            "emergency": loop.emergency,
            "marks": loop.marks,
            "last_mark": loop.last_mark,
            "t_beat_ns": loop.heartbeat.t_ns,
            "block": loop.protocol.block,
            "trial": loop.protocol.trial,
            "lost_tracks": loop.lost_tracks,
            **_individuals(loop),
            "track_restarts": sum(path.tracker.restarts for path in loop.paths.values()),
            "poses_ignored": sum(path.tracker.ignored for path in loop.paths.values()),
            "drift": {name: path.drift.stats() for name, path in loop.paths.items() if path.drift},
            **({} if loop.groups is None else loop.groups.stats()),
            "records_refused": self._records.refused(),
            "requests": dataclasses.asdict(self._requests),
            "subscribers_disconnected": self._publisher.disconnected,
        }

    def _send_frame(self, camera: str) -> None:
        shown = self._loop.last_frames.pop(camera)  # a picture is sent once
        if not self._publisher.wanted(f"frame/{camera}/"):
            return
        import cv2

        cv2.setNumThreads(1)  # a picture for a viewer must not take all cores from the network
        ring = self._rings[shown.camera]
        image = self._copies.get(shown.camera)
        if image is None:
            image = self._copies[shown.camera] = np.empty_like(ring.image(0))
        if not ring.read(shown.slot, shown.generation, image):
            return
        height, width = image.shape[:2]
        scale = min(1.0, self._frame_width_px / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
        if image.shape[2] == 3:
            reduced = cv2.cvtColor(reduced, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", reduced, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        header = {
            "frame": shown.stamps.index,
            "t_exposure_ns": shown.stamps.t_exposure_ns,
            "encoding": "jpeg",
            "width": size[0],
            "height": size[1],
            "channels": image.shape[2],
            "scale_x": width / size[0],
            "scale_y": height / size[1],
            "offset_x": shown.offset_xy[0],
            "offset_y": shown.offset_xy[1],
        }
        self._publisher.outbox.append((f"frame/{shown.camera}/", header, encoded.tobytes()))


def _individuals(loop: ClosedLoop) -> dict[str, Any]:
    """How many individuals are tracked, and how many of them are there by camera; nothing for one."""
    trackers = {name: path.tracker for name, path in loop.paths.items()}
    several = {name: one for name, one in trackers.items() if isinstance(one, IndividualTracker)}
    if not several:
        return {}
    alive = {name: int(one.newest.alive.sum()) for name, one in several.items()}
    return {"individuals": next(iter(several.values())).shape[0], "alive": alive}


def _next_due(due_ns: int, period_ns: int, now_ns: int) -> int:
    """The next time of a beat: on its own grid, without catching up on what was missed."""
    return due_ns + period_ns if due_ns + period_ns > now_ns else now_ns + period_ns
