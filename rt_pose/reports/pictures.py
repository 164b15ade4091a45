"""Frames of the film with the filter's track drawn on them, as SVG around a JPEG."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import msgspec
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS
from rt_pose.config.rules import GeometryConfig, ZoneConfig
from rt_pose.errors import UserError
from rt_pose.records import Observation, TrackRecord
from rt_pose.reports.chosen_events import chosen_events
from rt_pose.reports.svg_elements import circle, element, keypoint_colour, line, path_data
from rt_pose.rules.geometry import make_geometry
from rt_pose.rules.placed_zones import Corners, arrow_head, place_zones
from rt_pose.rules.zones import Circle, Line, Point, Zone
from rt_pose.session.group_tracks import groups_of, judged_frames
from rt_pose.session.individuals import individuals_of, name_of
from rt_pose.session.read import Session
from rt_pose.session.video_file import VideoTimes, read_times, read_video
from rt_pose.types import Event

STRIP_OFFSETS_MS = (-200, 0, 200)
"""Before an event, at it, and after it."""
MAX_STRIPS = 36
"""Of a camera: three for each of a dozen rules; a page with more gets too large to be opened."""
CROP_MARGIN, MIN_CROP = 1.5, 0.3
"""A strip shows 1.5 times what its keypoints span, and no less than 30 % of the frame's width."""
MAX_IMAGE_WIDTH = 800
JPEG_QUALITY = 82
POINT_PX = 5.0
"""Half of the cross that stands for a point."""
TRAJECTORY_POINTS = 1500
STEADY = {"vector_effect": "non-scaling-stroke"}
"""Attributes of lines that are as wide on a small picture as on a large one."""
Crop = tuple[float, float, float, float]
"""x, y, width and height of the part of a frame that is shown, px."""


@dataclass(slots=True)
class Strip:
    """An event and what the camera saw around it."""

    event: Event
    place: str
    """Its place among the events of its rule, as in `ChosenEvent`."""
    measure: str
    """By what it has that place."""
    individual: str
    """Name of the one that it came true for; empty where there is one."""
    camera: str
    """Whose film it is."""
    pictures: list[Markup]
    """SVG elements, in order of time."""


class CameraPictures:
    """Draws on the frames of one camera's film."""

    def __init__(self, session: Session, camera: str, times: VideoTimes) -> None:
        """Match the camera's observations and tracks to the frames of its film.

        Parameters
        ----------
        session
            The session.
        camera
            Name of the camera.
        times
            The table beside its film.
        """
        self._session, self._camera = session, camera
        self.problem = ""
        """Why frames of the film could not be shown; empty where all could."""
        self.strips_left_out = 0
        """Events for which `strips` had no room."""
        self._row_of_arrival = times.rows_by_arrival()
        tracks = {t.seq: t for t in session.tracks if t.camera == camera}
        self.observations = [
            o
            for o in session.observations
            if o.camera == camera and o.stamps.t_arrival_ns in self._row_of_arrival and o.seq in tracks
        ]
        self._tracks = tracks
        self._arrivals = np.array([o.stamps.t_arrival_ns for o in self.observations], np.int64)
        self._placed = _placed_zones(session, camera)
        self._individuals = individuals_of(session)

    @classmethod
    def of(cls, session: Session, camera: str) -> CameraPictures | None:
        """Make the pictures of a camera.

        Parameters
        ----------
        session
            The session.
        camera
            Name of the camera.

        Returns
        -------
        CameraPictures or None
            None where the camera was not filmed, or no filmed frame was decided on; without a frame, and with
            the problem, where its table is damaged.
        """
        try:
            times = read_times(session.path, camera)
        except UserError as error:
            pictures = cls(session, camera, VideoTimes(*[np.empty(0, np.int64)] * 4))
            pictures.problem = str(error)
            return pictures
        if times is None or camera not in session.info.cameras:
            return None
        pictures = cls(session, camera, times)
        return pictures if pictures.observations else None

    def strips(self) -> list[Strip]:
        """Draw some events with the frames around each: see `chosen_events`.

        Returns
        -------
        list[Strip]
            At most `MAX_STRIPS`; fewer where the film does not hold their frames.
        """
        row_of_seq = {o.seq: i for i, o in enumerate(self.observations)} | self._rows_in_space()
        events = [e for e in self._session.events if e.seq in row_of_seq]
        chosen = chosen_events(events, self._camera, *groups_of(self._session, self._camera))
        self.strips_left_out = max(0, len(chosen) - MAX_STRIPS)
        chosen = chosen[:MAX_STRIPS]
        captions = [self._around(row_of_seq[one.record.seq]) for one in chosen]
        crops = [
            self._crop(list(of_rows), self._named_outlines(one.record.event.rule))
            for one, of_rows in zip(chosen, captions, strict=True)
        ]
        drawn: list[list[Markup]] = [[] for _ in chosen]
        for i, image in self._read({i for of_rows in captions for i in of_rows}):
            for pictures, crop, of_rows in zip(drawn, crops, captions, strict=True):
                if i in of_rows:
                    pictures.append(self._draw(i, image, crop, of_rows[i]))
        return [
            Strip(
                one.record.event,
                one.place,
                one.measure,
                name_of(self._individuals, one.record.event.individual),
                self._camera,
                pictures,
            )
            for one, pictures in zip(chosen, drawn, strict=True)
            if pictures
        ]

    def trajectory(self, keypoint: int) -> Markup | None:
        """Draw the path of one keypoint on a frame from the middle of the run.

        Parameters
        ----------
        keypoint
            Index of the keypoint.

        Returns
        -------
        Markup or None
            SVG; None where the film does not hold the frame.
        """
        middle = len(self.observations) // 2
        _, image = next(self._read({middle} if self.observations else set()), (middle, None))
        if image is None:
            return None
        tracks = [self._tracks[o.seq] for o in self.observations]
        xy = np.array([t.xy.array()[:, keypoint] for t in tracks])  # (F, N, 2)
        xy[np.array([t.lost_array()[:, keypoint] for t in tracks])] = np.nan
        step = max(1, len(xy) // TRAJECTORY_POINTS)
        animals = xy.shape[1]
        ways: list[Markup] = []
        for n in range(animals):
            stroke = keypoint_colour(n, animals) if animals > 1 else "#ffd23f"
            look = {"fill": "none", "stroke": stroke, "stroke_width": 1.3, "stroke_opacity": 0.85} | STEADY
            ways.append(element("path", d=path_data(xy[::step, n, 0], xy[::step, n, 1]), **look))
        info = self._session.info.cameras[self._camera]
        return self._draw(middle, image, (*info.offset_xy, info.width, info.height), under=ways)

    def _rows_in_space(self) -> dict[int, int]:
        """Of the events that the camera's groups of views decided on, the observation nearest in time."""
        groups = groups_of(self._session, self._camera)
        if not groups or not self.observations:
            return {}
        judged = judged_frames(self._session)
        return {
            e.seq: int(np.abs(self._arrivals - judged[e.seq].stamps.t_arrival_ns).argmin())
            for e in self._session.events
            if e.event.camera in groups and e.seq in judged
        }

    def _around(self, row: int) -> dict[int, str]:
        """Observations nearest to each offset from `row`, in order, with their real distance in time."""
        start = self._arrivals[row]
        nearest = [
            int(np.abs(self._arrivals - (start + offset * NS_PER_MS)).argmin()) for offset in STRIP_OFFSETS_MS
        ]
        return {
            i: f"{round((self._arrivals[i] - start) / NS_PER_MS):+d} ms".replace("+0 ", "0 ") for i in nearest
        }

    def _named_outlines(self, rule: str) -> list[Corners]:
        """Outlines of the zones that a rule's condition names."""
        rules = self._session.info.config.get("rules", [])
        when = next((str(r.get("when", "")) for r in rules if r.get("name") == rule), "")
        return [
            outline
            for name, (_, outline) in self._placed.items()
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", when)
        ]

    def _crop(self, rows: list[int], outlines: list[Corners]) -> Crop:
        """x, y, width, height (px) of the part with these outlines and all keypoints of these rows; the
        frame's aspect."""
        info = self._session.info.cameras[self._camera]
        tracks = [self._tracks[self.observations[i].seq] for i in rows]
        corners = [np.array(outline).reshape(-1, 2) for outline in outlines]
        xy = np.concatenate([*(t.xy.array()[~t.lost_array()] for t in tracks), *corners])
        xy = xy[np.isfinite(xy).all(axis=-1)]
        if not len(xy):
            return *info.offset_xy, info.width, info.height
        low, high = xy.min(axis=0), xy.max(axis=0)
        full = np.array([info.width, info.height], np.float64)
        share = float(np.clip(CROP_MARGIN * ((high - low) / full).max(), MIN_CROP, 1.0))
        size = full * share
        first = np.array(info.offset_xy)
        corner = np.clip((low + high) / 2 - size / 2, first, first + full - size)
        return float(corner[0]), float(corner[1]), float(size[0]), float(size[1])

    def _read(self, wanted: set[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Frames of the film by their observations, in order of time, one in memory at a time."""
        info = self._session.info.cameras[self._camera]
        rows = {self._row_of_arrival[int(self._arrivals[i])]: i for i in wanted}
        size = (info.height, info.width)
        if not wanted:
            return
        try:
            for row, image in read_video(self._session.path, self._camera, list(rows), info.channels, size):
                yield rows[row], image
        except UserError as error:  # the figures are those of the log: they need no film
            self.problem = str(error)

    def _draw(
        self,
        i: int,
        image: NDArray[np.uint8],
        crop: Crop,
        caption: str = "",
        under: Sequence[Markup] = (),
    ) -> Markup:
        track = self._tracks[self.observations[i].seq]
        drawn = [*self._zones(), *under, *self._skeletons(track, crop[2])]
        frame = element(
            "svg",
            self._cut(image, crop),
            # Pixel centres are whole numbers here, in SVG the picture's corner is (0, 0).
            element("g", *drawn, transform="translate(0.5 0.5)"),
            class_="frame",
            viewBox=" ".join(f"{value:.1f}" for value in crop),
        )
        return element("figure", frame, element("figcaption", caption))

    def _cut(self, image: NDArray[np.uint8], crop: Crop) -> Markup:
        """The part of a frame that is seen, where it lies."""
        left, top = self._session.info.cameras[self._camera].offset_xy
        x, y = max(0, math.floor(crop[0] - left)), max(0, math.floor(crop[1] - top))
        part = image[y : math.ceil(crop[1] + crop[3] - top), x : math.ceil(crop[0] + crop[2] - left)]
        height, width = part.shape[:2]
        uri = jpeg_uri(np.ascontiguousarray(part))
        return element("image", href=uri, x=left + x, y=top + y, width=width, height=height)

    def _skeletons(self, track: TrackRecord, shown_width: float) -> Iterator[Markup]:
        xy, lost = track.xy.array(), track.lost_array()
        names = self._session.info.package.keypoints
        index = {name: k for k, name in enumerate(names)}
        unit = shown_width / 320
        bone = {"stroke": "#fff", "stroke_opacity": 0.85, "stroke_width": 1.3 * unit}
        for n in range(xy.shape[0]):
            shown = np.isfinite(xy[n]).all(axis=-1) & ~lost[n]
            for a, b in self._session.info.package.skeleton:
                ka, kb = index[a], index[b]
                if shown[ka] and shown[kb]:
                    (xa, ya), (xb, yb) = xy[n, ka], xy[n, kb]
                    yield line(xa, ya, xb, yb, **bone)
            for k in np.flatnonzero(shown).tolist():
                name = names[k] if k < len(names) else str(k)
                colour = keypoint_colour(k, len(names))
                if len(xy) > 1:
                    name, colour = f"{name_of(self._individuals, n)}: {name}", keypoint_colour(n, len(xy))
                look = {"stroke": "#fff", "stroke_width": 0.8 * unit, "fill": colour}
                yield circle(xy[n, k, 0], xy[n, k, 1], 3 * unit, name, **look)

    def _zones(self) -> list[Markup]:
        return [_zone(name, zone, outline) for name, (zone, outline) in self._placed.items()]


def _placed_zones(session: Session, camera: str) -> dict[str, tuple[Zone, Corners]]:
    """The session's zones where the camera sees them; none where this program cannot read them."""
    config = session.info.config
    try:
        zones = msgspec.convert(config.get("zones") or {}, dict[str, ZoneConfig])
        measures = msgspec.convert(config.get("geometry") or {}, dict[str, GeometryConfig]).get(camera)
        geometry = None if measures is None else make_geometry(measures, f"geometry.{camera}")
    except (UserError, msgspec.ValidationError):
        return {}
    return place_zones(zones, geometry)


def _zone(name: str, zone: Zone, outline: Corners) -> Markup:
    look = {"fill": "none", "stroke": "#4dd0ff", "stroke_width": 1.5} | STEADY
    if isinstance(zone, Circle) and not zone.metric:
        return circle(zone.x, zone.y, zone.radius, name, stroke_dasharray="6 4", **look)
    if isinstance(zone, Point):
        x, y = outline[0]
        size = POINT_PX
        strokes = [[(x - size, y), (x + size, y)], [(x, y - size), (x, y + size)]]
    elif isinstance(zone, Line):  # its head tells its right side from its left
        start, stop = outline
        strokes = [[start, stop], *([end, stop] for end in arrow_head(start, stop))]
    else:
        strokes = [[*outline, outline[0]]]
        look["stroke_dasharray"] = "6 4"
    way = "".join(path_data(*np.array(stroke).T) for stroke in strokes)
    return element("path", element("title", name), d=way, **look)


def jpeg_uri(image: NDArray[np.uint8]) -> str:
    """Encode a picture as a JPEG within a data URI, reduced to at most 800 px of width.

    Parameters
    ----------
    image
        (H, W, C), RGB or gray.

    Returns
    -------
    str
        The URI.
    """
    height, width = image.shape[:2]
    if width > MAX_IMAGE_WIDTH:
        size = (MAX_IMAGE_WIDTH, round(height * MAX_IMAGE_WIDTH / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    return data_uri(image, "jpeg", cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)


def data_uri(image: NDArray[np.uint8], form: Literal["jpeg", "png"], *options: int) -> str:
    """Encode a picture within a data URI.

    Parameters
    ----------
    image
        (H, W, C), RGB or gray.
    form
        Format of the picture.
    *options
        Parameters of OpenCV's encoder.

    Returns
    -------
    str
        The URI.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    encoded = cv2.imencode(f".{form}", pixels, options)[1]
    return f"data:image/{form};base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def shown_observations(session: Session, camera: str) -> list[tuple[Observation, TrackRecord]]:
    """Pair a camera's observations with their tracks.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    list[tuple[Observation, TrackRecord]]
        In order of time; an observation whose track was not recorded is left out.
    """
    tracks = {t.seq: t for t in session.tracks}
    return [(o, tracks[o.seq]) for o in session.observations if o.camera == camera and o.seq in tracks]
