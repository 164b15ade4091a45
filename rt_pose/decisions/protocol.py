"""The experiment's course: blocks and trials, and parameters changed while it runs.

One object for all cameras. It changes by frames, decisions and orders alone, all of which are logged, so that
replay goes through the same changes. Its time is the rig's, since the first frame of any camera: it goes on
where a recording is wound back, a clock steps back or a camera is gone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rt_pose.config.build import duration_ns
from rt_pose.config.rules import BlockConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.draws import digest
from rt_pose.decisions.input_lines import InputLines
from rt_pose.decisions.rig_time import RunTime
from rt_pose.errors import UserError, nearest
from rt_pose.rules.semantics import CURRENT, KNOWN, ONE_RIG
from rt_pose.types import FrameStamps

ORDERS = ("block", "set", "mark")
"""Orders that this module carries out."""
_LINE = re.compile(r"line\(\s*([^()\s]+)\s*\)")
DISABLED = "disabled"
"""Why a rule that was switched off may not fire."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the configuration, checked."""

    name: str
    rules: frozenset[str] | None
    """None: all."""
    time_ns: int | None
    events: int | None
    trials: int | None
    trial_ns: int | None
    pause_ns: int
    cue_input: str = ""
    """The input whose line, when it goes on, begins a trial."""
    cue_rule: str = ""
    """The rule whose event begins a trial."""

    @property
    def has_trials(self) -> bool:
        """Whether the block is divided into trials."""
        return self.trials is not None or self.trial_ns is not None or self.pause_ns > 0 or self.has_cue

    @property
    def has_cue(self) -> bool:
        """Whether each trial waits for what begins it."""
        return bool(self.cue_input or self.cue_rule)


@dataclass(slots=True)
class Parameters:
    """Parameters of a rule that may change during the run."""

    enabled: bool
    probability: float | None
    release: float | None


class Protocol:
    """The block and trial under way, and the rules' parameters."""

    def __init__(
        self,
        blocks: list[Block],
        parameters: dict[str, Parameters],
        semantics: int = CURRENT,
        inputs: InputLines | None = None,
    ) -> None:
        """Begin at the first block.

        Parameters
        ----------
        blocks
            The blocks in their order; empty for none.
        parameters
            Parameters of the rules by name.
        semantics
            Which values an order may set, and whose time it goes by (`rt_pose.rules.semantics`).
        inputs
            The lines of the run's inputs, by which trials may begin; None for none.
        """
        self.parameters = parameters
        self._semantics, self._inputs = semantics, inputs or InputLines(semantics)
        self._rises_seen: Counter[str] | None = None if semantics >= KNOWN else Counter()
        """By input that begins trials: how often its line had gone on by the newest frame; None before it."""
        self.time = RunTime(semantics)
        """That of the first camera that delivered a frame."""
        self.elapsed_ns = 0
        """The time by which blocks and trials go."""
        self.trial = 0
        """Number of the trial under way, from 1 over the whole run; 0 where there is none."""
        self._blocks = blocks
        self._at = -1
        self._trials_begun = 0
        if blocks:
            self._enter(0, 0)

    @property
    def block(self) -> str:
        """Name of the block under way; empty without a protocol and after its end."""
        return self._blocks[self._at].name if 0 <= self._at < len(self._blocks) else ""

    def advance(self, camera: str, stamps: FrameStamps, now_ns: int) -> None:
        """Take in a frame that is about to be evaluated: time may end a trial, a pause or the block.

        Parameters
        ----------
        camera
            Name of the camera.
        stamps
            Stamps of the frame.
        now_ns
            Its time on the rig, ns.
        """
        self.time.advance(camera, stamps)
        by_rig = self._semantics >= KNOWN
        self.elapsed_ns = max(self.elapsed_ns, now_ns) if by_rig else self.time.elapsed_ns
        self._take_turns(self.elapsed_ns)
        self._take_edges(self.elapsed_ns)

    def begin_by_event(self, rule: str) -> bool:
        """Begin a trial where it waits for an event of this rule.

        Parameters
        ----------
        rule
            Name of a rule of which an event was fired or withheld.

        Returns
        -------
        bool
            Whether the event begins a trial; it is of that trial then, and neither ends it nor is counted.
        """
        if not self._waits or self._blocks[self._at].cue_rule != rule:
            return False
        self._begin_trial(self.elapsed_ns)
        return True

    def count_event(self) -> None:
        """Count an event that was fired or withheld and whose action begins a stimulus."""
        if not 0 <= self._at < len(self._blocks):
            return
        block, now = self._blocks[self._at], self.elapsed_ns
        self._events += 1
        if self._trial_since_ns is not None:
            self._end_trial(now)
        if block.events is not None and self._events >= block.events and self._blocks[self._at] is block:
            self._enter(self._at + 1, now)

    def forbids(self, rule: str) -> str:
        """Report why a rule may not fire now.

        Parameters
        ----------
        rule
            Name of the rule.

        Returns
        -------
        str
            "disabled", "block", "inter-trial" or, of the rule that begins trials, "trial"; empty where it
            may.
        """
        if not self.parameters[rule].enabled:
            return DISABLED
        if not self._blocks:
            return ""
        if self._at >= len(self._blocks):
            return "block"
        block = self._blocks[self._at]
        if rule == block.cue_rule and not self._waits:
            return "trial" if self._pause_until_ns is None else "inter-trial"
        if block.rules is not None and rule not in (*block.rules, block.cue_rule):
            return "block"
        is_between = self._pause_until_ns is not None or self._waits
        return "inter-trial" if is_between and rule != block.cue_rule else ""

    def order(self, do: str, args: dict[str, Any]) -> None:
        """Carry out an order: `block {name}`, `set {parameter, value}` or `mark {text}`.

        Parameters
        ----------
        do
            Name of the order; others are ignored.
        args
            Its arguments by name.

        Raises
        ------
        UserError
            Where there is no such block or parameter, or a value is not valid.
        """
        self.check(do, args)
        if do == "block":  # the next block of that name, or else the first
            places = self._places(args["name"])
            self._enter(next((i for i in places if i > self._at), places[0]), self.elapsed_ns)
        elif do == "set":
            rule, key = self._settable()[args["parameter"]]
            value = args["value"]
            setattr(self.parameters[rule], key, value if key == "enabled" else float(value))

    def check(self, do: str, args: dict[str, Any]) -> None:
        """Check that an order can be carried out. Looks at nothing that changes, so any thread may call it.

        Parameters
        ----------
        do
            Name of the order; others pass.
        args
            Its arguments by name.

        Raises
        ------
        UserError
            Where there is no such block or parameter, or a value is not valid.
        """
        if do == "block":
            self._check_block(args.get("name"))
        elif do == "set":
            self._check_setting(args.get("parameter"), args.get("value"))
        elif do == "mark" and not isinstance(args.get("text"), str):
            raise UserError(f"mark: text: expected a text, got {args.get('text')!r}")

    def _places(self, name: Any) -> list[int]:
        return [i for i, block in enumerate(self._blocks) if block.name == name]

    def _check_block(self, name: Any) -> None:
        if not self._places(name):
            names = list(dict.fromkeys(block.name for block in self._blocks))
            hint = nearest(str(name), names) or "; the configuration has no protocol"
            raise UserError(f"block: name: there is no block {name!r}{hint}")

    def _check_setting(self, path: Any, value: Any) -> None:
        settable = self._settable()
        if not isinstance(path, str) or path not in settable:
            raise UserError(f"set: parameter: nothing to set called {path!r}{nearest(str(path), settable)}")
        rule, key = settable[path]
        if key == "enabled":
            if not isinstance(value, bool):
                raise UserError(f"set: {path}: expected true or false, got {value!r}")
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise UserError(f"set: {path}: expected a probability from 0 to 1, got {value!r}")
        if key == "probability" and value in (0.0, 1.0) and self._semantics >= ONE_RIG:
            what = "always" if value == 0.0 else "never"
            raise UserError(
                f"set: {path}: expected more than 0, less than 1, got {value!r}, which is {what} reached; "
                f"to switch a rule off set rules.{rule}.enabled to false"
            )

    def _settable(self) -> dict[str, tuple[str, str]]:
        """Path -> (rule, key), as they are written in `--set` too."""
        settable = {}
        for rule, parameters in self.parameters.items():
            for key in ("enabled", "probability", "release"):
                if getattr(parameters, key) is not None:
                    settable[f"rules.{rule}.{key}"] = (rule, key)
        return settable

    # ------------------------------------------------------------ changes by time and by cues

    @property
    def _waits(self) -> bool:
        """Whether the next trial waits for what begins it."""
        return (
            0 <= self._at < len(self._blocks)
            and self._blocks[self._at].has_cue
            and self._trial_since_ns is None
            and self._pause_until_ns is None
        )

    def _take_turns(self, now: int) -> None:
        while self._at < len(self._blocks) and self._blocks:
            due = self._next_turn(self._blocks[self._at])
            if due is None or due[0] > now:
                return
            due[1](due[0])

    def _take_edges(self, now: int) -> None:
        """Begin a trial if its line has gone on since the frame before; what nothing waits for is used up."""
        cues = {block.cue_input for block in self._blocks if block.cue_input}
        before, after = self._rises_seen, Counter({name: self._inputs.rises(name) for name in cues})
        self._rises_seen = after
        if before is None or not self._waits:
            return
        name = self._blocks[self._at].cue_input
        if name and after[name] > before[name]:
            self._begin_trial(now)

    def _next_turn(self, block: Block) -> tuple[int, Any] | None:
        """The time (ns) of the next change that time alone brings, and the change; None for none."""
        turns: list[tuple[int, Any]] = []
        if block.time_ns is not None:
            turns.append((self._since_ns + block.time_ns, self._next_block))
        if self._pause_until_ns is not None:
            turns.append((self._pause_until_ns, self._next_trial))
        elif self._trial_since_ns is not None and block.trial_ns is not None:
            turns.append((self._trial_since_ns + block.trial_ns, self._end_trial))
        return min(turns, key=lambda turn: turn[0], default=None)

    def _next_block(self, t_ns: int) -> None:
        self._enter(self._at + 1, t_ns)

    def _enter(self, at: int, t_ns: int) -> None:
        self._at, self._since_ns = at, t_ns
        self._events = self._trials_ended = 0
        self._trial_since_ns: int | None = None
        self._pause_until_ns: int | None = None
        self.trial = 0
        if at < len(self._blocks) and self._blocks[at].has_trials:
            self._next_trial(t_ns)

    def _next_trial(self, t_ns: int) -> None:
        """Begin a trial, or wait for what begins it."""
        self._pause_until_ns = None
        if not self._blocks[self._at].has_cue:
            self._begin_trial(t_ns)

    def _begin_trial(self, t_ns: int) -> None:
        self._pause_until_ns = None
        self._trial_since_ns = t_ns
        self._trials_begun += 1
        self.trial = self._trials_begun

    def _end_trial(self, t_ns: int) -> None:
        block = self._blocks[self._at]
        self._trials_ended += 1
        if block.trials is not None and self._trials_ended >= block.trials:
            self._next_block(t_ns)
            return
        self._trial_since_ns, self.trial = None, 0
        self._pause_until_ns = t_ns + block.pause_ns
        if not block.pause_ns:
            self._next_trial(t_ns)


def make_protocol(config: RunConfig, semantics: int = CURRENT, inputs: InputLines | None = None) -> Protocol:
    """Make the protocol of a configuration.

    Parameters
    ----------
    config
        The run's configuration.
    semantics
        Which values an order may set.
    inputs
        The lines of the run's inputs, by which trials may begin; None where no frames will come.

    Returns
    -------
    Protocol
        The protocol, at its first block.

    Raises
    ------
    UserError
        Where a block is not valid.
    """
    names = [rule.name for rule in config.rules]
    blocks = [_block(block, names, list(config.inputs)) for block in config.protocol]
    if config.protocol_order == "shuffled":
        blocks = [blocks[i] for i in shuffled(len(blocks), config.seed)]
    return Protocol(blocks, {rule.name: _parameters(rule) for rule in config.rules}, semantics, inputs)


def shuffled(count: int, seed: int) -> list[int]:
    """Draw an order.

    Parameters
    ----------
    count
        Of how many.
    seed
        Of the run.

    Returns
    -------
    list[int]
        Each number below `count` once; the same for the same seed on every machine.
    """
    return sorted(range(count), key=lambda i: digest(seed, "protocol", i))


def _parameters(rule: RuleConfig) -> Parameters:
    if rule.probability is None:
        return Parameters(rule.enabled, None, None)
    release = rule.probability if not isinstance(rule.release, int | float) else float(rule.release)
    return Parameters(rule.enabled, rule.probability, release)


def _block(config: BlockConfig, rules: list[str], inputs: list[str]) -> Block:
    where = f"protocol: block '{config.block}'"
    for name in config.rules or ():
        if name not in rules:
            raise UserError(f"{where}: rules: there is no rule '{name}'{nearest(name, rules)}")
    for key in ("events", "trials"):
        count = getattr(config, key)
        if count is not None and count < 1:
            raise UserError(f"{where}: {key}: expected 1 or more, got {count}")
    cue_input, cue_rule = _cue(config.trial_on, rules, inputs, f"{where}: trial_on")
    lengths = {key: _length(getattr(config, key), f"{where}: {key}") for key in ("time", "trial")}
    return Block(
        name=config.block,
        rules=None if config.rules is None else frozenset(config.rules),
        time_ns=lengths["time"],
        events=config.events,
        trials=config.trials,
        trial_ns=lengths["trial"],
        pause_ns=duration_ns(config.inter_trial, f"{where}: inter_trial"),
        cue_input=cue_input,
        cue_rule=cue_rule,
    )


def _length(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    ns = duration_ns(text, where)
    if ns <= 0 or not math.isfinite(ns):
        raise UserError(f"{where}: expected more than 0, got {text!r}")
    return ns


def _cue(text: str | None, rules: list[str], inputs: list[str], where: str) -> tuple[str, str]:
    """The input and the rule that begin a block's trials; empty where they are not."""
    if text is None:
        return "", ""
    line = _LINE.fullmatch(text.strip())
    kind, name, valid = ("rule", text, rules) if line is None else ("input", line[1], inputs)
    if name not in valid:
        hint = nearest(name, valid) or f"; the configuration has no {kind}s"
        raise UserError(
            f"{where}: expected the name of a rule, or line(NAME) of an input, got {text!r}: there is no "
            f"{kind} '{name}'{hint}"
        )
    return ("", name) if line is None else (name, "")
