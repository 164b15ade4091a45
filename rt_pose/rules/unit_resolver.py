"""Whether a comparison is about pixels or millimetres, settled by the units and zones that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from rt_pose.config.rules import GeometryConfig
from rt_pose.errors import UserError
from rt_pose.rules.quantities import Quantity
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Node, Not, Number, Or
from rt_pose.rules.units import unit_of
from rt_pose.rules.zones import Box, Circle, Line, Point, Polygon, Zone


@dataclass(frozen=True, slots=True)
class MetricScale:
    """What the rig knows of millimetres."""

    available: bool = False
    """Every camera has a geometry."""
    mm_per_px: float | None = None
    """Where that is one scale alone: zones in px can then be used in comparisons in mm."""

    @classmethod
    def of(cls, geometry: Mapping[str, GeometryConfig], cameras: Iterable[str]) -> MetricScale:
        """Gather what a configuration knows of millimetres.

        Parameters
        ----------
        geometry
            Measures by camera.
        cameras
            Names of the run's cameras.

        Returns
        -------
        MetricScale
            The scale.
        """
        scales = {None if camera.lens is not None else camera.mm_per_px for camera in geometry.values()}
        return cls(
            available=bool(geometry) and all(name in geometry for name in cameras),
            mm_per_px=next(iter(scales)) if len(scales) == 1 else None,
        )


class UnitResolver:
    """Decides whether a comparison is in px or mm."""

    def __init__(
        self, error: Callable[[int, str], UserError], zones: dict[str, Zone], metric_scale: MetricScale
    ) -> None:
        """Keep what decides between px and mm.

        Parameters
        ----------
        error
            Makes an error of a place in the condition and a message.
        zones
            The configuration's zones by name.
        metric_scale
            What the rig knows of millimetres.
        """
        self._error, self._zones, self._metric_scale = error, zones, metric_scale

    def is_metric(self, node: Node, zones: bool = True) -> bool | None:
        """Decide by the units and zones that a part of the condition names.

        Parameters
        ----------
        node
            The part.
        zones
            Whether zones decide where no unit does.

        Returns
        -------
        bool | None
            True for mm, False for px, None where nothing decides.

        Raises
        ------
        UserError
            Where two parts contradict, or mm are named and the rig has no geometry.
        """
        by_unit: bool | None = None
        by_zone: bool | None = None
        for place, metric, is_zone in self._evidence(node):
            if metric and not self._metric_scale.available:
                raise self._error(
                    place, "mm need the rig's measures: add e.g. `geometry: {CAMERA: {mm_per_px: 0.42}}`"
                )
            if is_zone:
                by_zone = metric if by_zone is None else by_zone or metric
            elif by_unit is None:
                by_unit = metric
            elif by_unit != metric:
                raise self._error(place, "px and mm in one comparison")
        return by_zone if by_unit is None and zones else by_unit

    def resolve(self, metric: bool | None, quantity: Quantity) -> bool:
        """Decide for a quantity in a comparison that names neither unit nor zone: px.

        For angles mm where the rig knows them, since a tilted camera distorts angles.

        Parameters
        ----------
        metric
            What the comparison has decided; None for nothing.
        quantity
            The quantity.

        Returns
        -------
        bool
            Whether it is in mm.
        """
        if metric is not None:
            return metric
        unit = unit_of(quantity.unit or "")
        return bool(unit and unit.dimension.angle and self._metric_scale.available)

    def convert_zone(self, zone: Zone, metric: bool, node: Name) -> Zone:
        """Convert a zone to the unit of a comparison.

        Parameters
        ----------
        zone
            The zone.
        metric
            Whether the comparison is in mm.
        node
            The zone's name in the condition, for messages.

        Returns
        -------
        Zone
            The zone in that unit.

        Raises
        ------
        UserError
            Where no single scale relates px and mm.
        """
        if zone.metric == metric:
            return zone
        scale = self._metric_scale.mm_per_px
        if scale is None:
            have, need = ("mm", "px") if zone.metric else ("px", "mm")
            raise self._error(
                node.place,
                f"zone '{node.text}' is in {have}, the comparison in {need}; give the zone in {need} "
                f"(`unit: {need}`)",
            )
        return _scale_zone(zone, scale if metric else 1.0 / scale, metric)

    def unit_name(self, unit: str, call: Call) -> str:
        """Name the stated unit of a quantity, with `mm` for `px` where it is in mm.

        Parameters
        ----------
        unit
            The quantity's unit as declared.
        call
            The call of the quantity.

        Returns
        -------
        str
            The name.
        """
        return unit.replace("px", "mm") if self.is_metric(call) else unit

    def _evidence(self, node: Node) -> Iterator[tuple[int, bool, bool]]:
        match node:
            case Number(_, text, place):
                unit = unit_of(text)
                if unit is not None and unit.metric is not None:
                    yield place, unit.metric, False
            case Name(text, place):
                if text in self._zones:
                    yield place, self._zones[text].metric, True
            case Call(_, parts) | Chain(parts) | Compare(parts) | And(parts) | Or(parts):
                for part in parts:
                    yield from self._evidence(part)
            case Negative(inner) | Not(inner):
                yield from self._evidence(inner)


class SpatialUnits(UnitResolver):
    """In space every length is in mm."""

    def __init__(self, error: Callable[[int, str], UserError]) -> None:
        """Keep how errors are made.

        Parameters
        ----------
        error
            Makes an error of a place in the condition and a message.
        """
        super().__init__(error, {}, MetricScale(available=True))

    def is_metric(self, node: Node, zones: bool = True) -> bool:  # noqa: ARG002
        """See `UnitResolver.is_metric`; px are refused."""
        for place, metric, _ in self._evidence(node):
            if not metric:
                raise self._error(place, "px in a rule that is judged in space: write mm, cm or m")
        return True

    def unit_name(self, unit: str, call: Call) -> str:  # noqa: ARG002
        """See `UnitResolver.unit_name`."""
        return unit.replace("px", "mm")


def _scale_zone(zone: Zone, scale: float, metric: bool) -> Zone:
    match zone:
        case Circle(x, y, radius):
            return Circle(x * scale, y * scale, radius * scale, metric)
        case Box(left, top, right, bottom):
            return Box(left * scale, top * scale, right * scale, bottom * scale, metric)
        case Line(x1, y1, x2, y2):
            return Line(x1 * scale, y1 * scale, x2 * scale, y2 * scale, metric)
        case Point(x, y):
            return Point(x * scale, y * scale, metric)
        case Polygon(corners):
            return replace(zone, corners=tuple((x * scale, y * scale) for x, y in corners), metric=metric)
