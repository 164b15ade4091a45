"""The YAML of a rig, with every option of its drivers in reach as a comment."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rt_pose.config.build import default_of, hints_of
from rt_pose.config.keys import keys_of
from rt_pose.errors import UserError

WIDTH = 100
PLACES = ("serial", "port", "path", "address", "host")
"""Options that say which device is meant where the driver does not say so itself, the best first."""


@dataclass
class Part:
    """A camera or an output of a rig."""

    name: str
    driver: str
    options: type
    """The driver's `Options`."""
    device: str = ""
    """Serial number, path or address of the device; empty where the driver has only one."""
    named_by: str = ""
    """The option that it is, where the driver says so."""
    lines: list[str] = field(default_factory=list)

    def given(self) -> dict[str, str | int]:
        """Find the option that names the device.

        Returns
        -------
        dict[str, str | int]
            Option and value; empty where none is needed.

        Raises
        ------
        UserError
            Where an option is needed that was not given, or the driver takes no such option.
        """
        known = hints_of(self.options)
        places = [place for place in (self.named_by, *PLACES) if place in known]
        given: dict[str, str | int] = {}
        if self.device:
            place = "port" if "port" in places and self.device.startswith("/") else next(iter(places), None)
            if place is None:
                raise UserError(f"{self.driver}: takes no serial number or path, got '{self.device}'")
            given[place] = self._number(place) if known[place] is int else self.device
        fields = dataclasses.fields(self.options)
        missing = [f.name for f in fields if default_of(f) is dataclasses.MISSING and f.name not in given]
        if missing:
            raise UserError(
                f"{self.driver}: needs {', '.join(missing)}; write {self.driver}:{missing[0].upper()}"
            )
        return given

    def _number(self, option: str) -> int:
        if not self.device.isdecimal():
            raise UserError(f"{self.driver}: {option}: expected a number, got '{self.device}'")
        return int(self.device)


@dataclass
class Rig:
    """What a rig is made of."""

    cameras: list[Part]
    outputs: list[Part]
    model: str = ""
    keypoint: str = "nose"
    """One of the model's, for the example of a rule."""
    budget_ms: float = 50.0
    subject: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)


def rig_yaml(rig: Rig, name: str) -> str:
    """Write a rig.

    Parameters
    ----------
    rig
        Its parts.
    name
        Name of the file, for the comments.

    Returns
    -------
    str
        YAML that `rt-pose run` takes.
    """
    return (
        "\n".join([*_head(name), *_model(rig), *_cameras(rig), *_outputs(rig), *_rules(rig), *_rest(rig)])
        + "\n"
    )


def _head(name: str) -> Iterator[str]:
    yield "# A rig. `rt-pose run --help` explains every key, `rt-pose rules words` the words of rules."
    yield f"#   rt-pose rig check {name}      # does it do what this file says?"
    yield f"#   rt-pose run {name}"
    yield "#   rt-pose order arm            # lets commands out; [space] in the run stops at once"


def _model(rig: Rig) -> Iterator[str]:
    yield f"model: {_text(rig.model)}    # folder of a model package; `rt-pose train fit` writes one"
    yield f"budget_ms: {rig.budget_ms:g}    # exposure to decision: later is a missed deadline"
    yield ""


def _cameras(rig: Rig) -> Iterator[str]:
    yield "cameras:"
    for part in rig.cameras:
        yield from _part(part)


def _outputs(rig: Rig) -> Iterator[str]:
    yield ""
    yield "outputs:"
    for part in rig.outputs:
        yield from _part(part)
        if part.lines:
            yield f"    lines: [{', '.join(map(_text, part.lines))}]    # names of lines 0, 1, ..., for rules"
        yield "    limits:    # of each line, whatever the rules say; what is over is suppressed as `cap`"
        yield "      max_pulses_per_minute: 120"
        yield "      max_duty: 0.1    # share of any duty_window (60 s) in which it may be on"


def _part(part: Part) -> Iterator[str]:
    yield f"  {part.name}:"
    yield f"    driver: {part.driver}"
    yield "    options:"
    given = part.given()
    for key in keys_of(part.options):
        if "." in key.name or not key.type:
            continue  # of a section
        if key.name in given:
            value = given[key.name]
            yield f"      {key.name}: {_text(value) if isinstance(value, str) else value}"
            continue
        default = next(default_of(f) for f in dataclasses.fields(part.options) if f.name == key.name)
        yield f"      # {key.name}: {_value(default)}"
        yield from textwrap.wrap(
            key.text, WIDTH, initial_indent="      #     ", subsequent_indent="      #     "
        )


def _rules(rig: Rig) -> Iterator[str]:
    yield ""
    if not rig.outputs:
        yield "# Rules need an output to act on: add one above."
        return
    output = rig.outputs[0]
    line = f", line: {_text(output.lines[0])}" if output.lines else ""
    yield "# zones:"
    yield "#   corner: {circle: [60, 60, 50]}    # px: x, y, radius; `rt-pose rules check` draws it"
    yield "# rules:"
    yield "#   - name: corner"
    yield f"#     when: inside({rig.keypoint}, corner)"
    yield "#     refractory: 2 s"
    yield f"#     do: {{output: {output.name}, pulse: 5 ms{line}}}"
    yield ""
    yield "# sync:    # for a recording system beside the run; `rt-pose align` brings both to one time"
    yield f"#   code: {{output: {output.name}, line: 2}}"
    yield f"#   frames: {{output: {output.name}, line: 3}}"


def _rest(rig: Rig) -> Iterator[str]:
    yield ""
    yield "armed_at_start: false    # on hardware arm by hand"
    yield "metadata:    # as you like; copied to the session"
    for section, values in (("subject", rig.subject), ("protocol", rig.protocol)):
        yield f"  {section}:"
        yield from (f"    {key}: {_text(value)}" for key, value in values.items())


def _text(text: str) -> str:
    """Text as YAML takes it whatever is in it: JSON's strings are YAML's."""
    return json.dumps(text, ensure_ascii=False)


def _value(default: Any) -> str:
    return json.dumps(default, default=str, ensure_ascii=False)
