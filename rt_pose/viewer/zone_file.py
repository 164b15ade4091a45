"""Edited zones back into their configuration, everything else in it as it was written; no Qt in here."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_pose.config.build import load
from rt_pose.config.edit import remove_value, set_value
from rt_pose.config.files import find_config
from rt_pose.config.rules import ZoneConfig
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.viewer.placement import names_in
from rt_pose.viewer.zone_edit import shape_of


@dataclass
class ZoneFile:
    """A configuration whose zones are edited."""

    path: Path
    text: str
    """As it was when it was read."""
    config: RunConfig

    @classmethod
    def read(cls, name: str) -> ZoneFile:
        """Read a configuration.

        Parameters
        ----------
        name
            A path.

        Returns
        -------
        ZoneFile
            The configuration.

        Raises
        ------
        UserError
            Where it cannot be read, or is one of those that come with rt-pose.
        """
        path = find_config(name)
        if path != Path(name):
            raise UserError(
                f"{name}: comes with rt-pose and is not written on; copy it first: "
                f"`rt-pose configs copy {name} --out mine.yaml`"
            )
        config = load(RunConfig, str(path))
        return cls(path, _read(path), config)

    def named_by(self) -> dict[str, list[str]]:
        """Find the rules that name each zone.

        Returns
        -------
        dict[str, list[str]]
            Names of rules by zone.
        """
        named: dict[str, list[str]] = {}
        for rule in self.config.rules:
            release = rule.release if isinstance(rule.release, str) else ""
            target = rule.do.aim.target if rule.do.aim is not None else ""
            words = names_in([rule.when, release, target or ""])
            for zone in self.config.zones:
                if zone in words:
                    named.setdefault(zone, []).append(rule.name)
        return named

    def save(self, zones: Mapping[str, ZoneConfig]) -> Path | None:
        """Write zones, after the file as it was has been copied beside it.

        Parameters
        ----------
        zones
            All of them, by name.

        Returns
        -------
        Path | None
            The copy; None where nothing had changed.

        Raises
        ------
        UserError
            Where another program has changed the file, the zones cannot be written into it without harm to
            the rest, or the disk refuses.
        """
        edited = edit_zones(self.text, self.config.zones, zones, str(self.path))
        if edited == self.text:
            return None
        try:
            if _read(self.path) != self.text:
                raise UserError(
                    f"{self.path}: was changed by another program since it was opened; open it again"
                )
            backup = _free_backup(self.path)
            shutil.copy2(self.path, backup)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be copied before it is written: {error}") from error
        write_atomic(self.path, edited, "move the file to where it can be written")
        self.text, self.config = edited, load(RunConfig, str(self.path))
        return backup


def edit_zones(
    text: str, before: Mapping[str, ZoneConfig], after: Mapping[str, ZoneConfig], where: str
) -> str:
    """Set the zones that differ in the text of a configuration.

    Parameters
    ----------
    text
        The text.
    before, after
        Zones by name, as the text has them and as it shall have them.
    where
        Name of the file, for messages.

    Returns
    -------
    str
        The new text; the text itself where nothing differs.

    Raises
    ------
    UserError
        Where the text is written so that a zone cannot be set without harm to the rest.
    """
    for name in before:
        if name not in after:
            text = remove_value(text, ["zones", name], where)
    for name, zone in after.items():
        old, shape = before.get(name), shape_of(zone)
        if zone == old:
            continue
        if old is not None and shape_of(old) == shape and old.unit == zone.unit:
            text = set_value(text, ["zones", name, shape], getattr(zone, shape), where)
        else:
            text = set_value(text, ["zones", name], plain_zone(zone), where)
    return text


def plain_zone(zone: ZoneConfig) -> dict[str, Any]:
    """Make the mapping that stands for a zone in YAML.

    Parameters
    ----------
    zone
        The zone.

    Returns
    -------
    dict[str, Any]
        Its shape, and its unit where that is not px.
    """
    plain = {key: value for key, value in dataclasses.asdict(zone).items() if value is not None}
    if zone.unit == "px":
        del plain["unit"]
    return plain


def _read(path: Path) -> str:
    """The text with its line ends as they are."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _free_backup(path: Path) -> Path:
    """A name beside the file that nothing has."""
    number = 0
    while True:
        backup = path.with_name(f"{path.name}.bak{number or ''}")
        if not backup.exists():
            return backup
        number += 1
