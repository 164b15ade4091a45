"""What the conditions of a configuration may name: keypoints, zones, cameras, groups of views, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError, nearest
from rt_pose.rules.bind import bind
from rt_pose.rules.condition import Condition
from rt_pose.rules.geometry import Geometry, make_geometry
from rt_pose.rules.semantics import CURRENT, ONE_RIG, POSSIBLE
from rt_pose.rules.space import Space
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.zones import Zone, check_sizes, make_zones, seen_places
from rt_pose.rules.zones_in_space import SpatialZone, is_in_space, make_zones_in_space


@dataclass(frozen=True, slots=True)
class Rig:
    """What conditions may name."""

    keypoints: list[str]
    zones: dict[str, Zone]
    geometries: dict[str, Geometry]
    metric_scale: MetricScale
    cameras: tuple[str, ...] = ()
    """Empty where none are configured: any name will do."""
    semantics: int = CURRENT
    inputs: tuple[str, ...] = ()
    individuals: int | Sequence[str] = 1
    """How many are tracked, or their names."""
    spaces: dict[str, Space] = field(default_factory=dict)
    """By group of views, what its rules may say."""
    spatial_zones: dict[str, SpatialZone] = field(default_factory=dict)
    """What they may name."""

    @classmethod
    def of(
        cls,
        config: RunConfig,
        keypoints: list[str],
        semantics: int = CURRENT,
        individuals: int | Sequence[str] | None = None,
    ) -> Rig:
        """Make what conditions may name from a configuration.

        Parameters
        ----------
        config
            The run's configuration.
        keypoints
            Names of the model's keypoints, in their order.
        semantics
            What conditions mean: see `rt_pose.rules.semantics`.
        individuals
            How many are tracked, or their names; None: as configured.

        Returns
        -------
        Rig
            The rig.

        Raises
        ------
        UserError
            Where a zone or a geometry is not valid.
        """
        for name in config.geometry:
            if config.cameras and name not in config.cameras:
                hint = nearest(name, config.cameras)
                raise UserError(f"configuration: geometry: there is no camera '{name}'{hint}")
        geometries = {
            name: make_geometry(geometry, f"configuration: geometry.{name}")
            for name, geometry in config.geometry.items()
        }
        measures = MetricScale.of(config.geometry, config.cameras)
        flat = {name: zone for name, zone in config.zones.items() if not is_in_space(zone)}
        zones = make_zones(flat, "configuration")
        if semantics >= POSSIBLE:
            places = seen_places(zones)
            geometries = {name: geometry.one_sided(places) for name, geometry in geometries.items()}
        if semantics >= ONE_RIG:
            check_sizes(zones, "configuration")
        individuals = config.individuals if individuals is None else individuals
        cameras, inputs = tuple(config.cameras), tuple(config.inputs)
        spaces = {name: Space(name, group.up is not None, zones) for name, group in config.views.items()}
        spatial = make_zones_in_space(config.zones, "configuration")
        return cls(
            *(keypoints, zones, geometries, measures, cameras, semantics, inputs, individuals),
            *(spaces, spatial),
        )

    def bind(self, text: str, where: str, view: str = "") -> Condition:
        """Bind a condition to the rig.

        Parameters
        ----------
        text
            The condition as written.
        where
            Its place in the configuration, for messages.
        view
            The group of views that judges it, one of `spaces`; empty for cameras.

        Returns
        -------
        Condition
            The condition.

        Raises
        ------
        UserError
            See `rt_pose.rules.bind.bind`.
        """
        return bind(
            text,
            self.keypoints,
            self.spatial_zones if view else self.zones,
            where,
            self.metric_scale,
            self.cameras,
            self.semantics,
            self.inputs,
            self.individuals,
            self.spaces[view] if view else Space(elsewhere=self.spatial_zones),
        )
