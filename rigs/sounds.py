"""What a sound card plays: tones and recordings, switched sample by sample.

A `Voice` is one line. The sound card's thread asks it for samples, with no array made meanwhile; any other
thread gives it its next plan by one assignment.
"""

from __future__ import annotations

import re
import threading
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import Command

CHUNK = 1024
"""Samples that are mixed at a time."""
LOWEST_HZ = 20
LONGEST_FILE_S = 60.0
TONE = re.compile(r"\s*(\d+)\s*Hz\s*", re.IGNORECASE)
SAMPLE_FORMATS = {2: ("<i2", 2.0**15), 4: ("<i4", 2.0**31)}
"""numpy's type and the full scale of PCM samples, by their bytes."""


@dataclass(slots=True, eq=False)
class Plan:
    """What a voice plays from its first sample on; all lengths in samples."""

    length: int
    """Of each pulse; 0: until there is another plan."""
    period: int
    count: int
    gain: float
    rise: int
    fall: int
    came: threading.Event = field(default_factory=threading.Event)
    """Set when the sound card has taken the first sample, or another plan has taken its place before."""
    t_effect_ns: int = 0
    """When the first sample sounds, host time; 0 where it never did."""


def plan_sound(command: Command, rate_hz: int, volume: float, ramp_ms: float) -> Plan | None:
    """Plan what a voice plays.

    Parameters
    ----------
    command
        A pulse, train, level, analog value or stop.
    rate_hz
        Samples per second.
    volume
        Peak at amplitude 1, share of the full scale.
    ramp_ms
        Rise and fall of what has none of its own, ms: a step would click.

    Returns
    -------
    Plan or None
        None for silence.
    """
    gain = min(max(command.amplitude, 0.0), 1.0) * volume
    if command.action == "stop" or gain == 0.0:
        return None

    def samples(us: int) -> int:
        return max(1, round(us * rate_hz / 1e6)) if us > 0 else 0

    length = samples(command.duration_us)
    rise = fall = samples(round(ramp_ms * 1000))
    if command.action == "analog":
        rise, fall = max(rise, samples(command.ramp_up_us)), max(fall, samples(command.ramp_down_us))
        length = samples(command.ramp_up_us + command.duration_us + command.ramp_down_us)
    if command.action != "level" and not length:
        return None  # only a level stays on
    if length:
        shrink = min(1.0, length / (rise + fall)) if rise + fall else 1.0
        rise, fall = int(rise * shrink), int(fall * shrink)
    is_train = command.action == "train"
    period = samples(command.period_us) if is_train else length
    return Plan(length, period, command.count if is_train else 1, gain, rise, fall)


class Voice:
    """Plays one sound as planned."""

    def __init__(self, sound: NDArray[np.float32], repeats: bool) -> None:
        """Keep the sound; it is silent.

        Parameters
        ----------
        sound
            Samples (T,) in -1..1.
        repeats
            Whether it begins again at its end, without a gap, as a tone does; a recording is over then.
        """
        self._sound, self._repeats = sound, repeats
        self._next: Plan | None = None
        self._plan: Plan | None = None
        self._over: Plan | None = None
        self._at = 0
        self._index = np.arange(CHUNK, dtype=np.float32)
        self._mixed = np.empty(CHUNK, np.float32)
        self._envelope = np.empty(CHUNK, np.float32)

    @property
    def playing(self) -> bool:
        """Whether it has a plan that is not over."""
        return self._next is not None and self._next is not self._over

    def play(self, plan: Plan | None) -> None:
        """Take the place of what is playing, from the next sample on. From any thread.

        Parameters
        ----------
        plan
            What to play; None for silence.
        """
        before, self._next = self._next, plan
        if before is not None:
            before.came.set()  # whoever waits for it learns that it never began

    def withdraw(self, plan: Plan) -> None:
        """Be silent in place of a plan, unless another one has taken its place already. From any thread.

        Parameters
        ----------
        plan
            What was to be played.
        """
        if self._next is plan:
            self._next = None

    def add_to(self, out: NDArray[np.float32], t_ns: int) -> None:
        """Add the next samples. In the sound card's thread.

        Parameters
        ----------
        out
            Samples (T,), T at most `CHUNK`.
        t_ns
            When the first of them sounds, host time, ns.
        """
        plan = self._next
        if plan is None or plan is self._over:
            return
        if plan is not self._plan:
            self._plan, self._at = plan, 0
            plan.t_effect_ns = t_ns
            plan.came.set()
        done = 0
        while done < len(out):
            number, into = divmod(self._at, plan.period) if plan.period else (0, self._at)
            if number >= plan.count:
                self._over = plan
                return
            left = len(out) - done
            sounds = not plan.length or into < plan.length
            if sounds:
                left = min(left, plan.length - into) if plan.length else left
                self._mix(out[done : done + left], into, plan)
            else:
                left = min(left, plan.period - into)
            done += left
            self._at += left

    def _mix(self, out: NDArray[np.float32], into: int, plan: Plan) -> None:
        """Add a piece of one pulse, which begins `into` samples from the pulse's first."""
        size = len(out)
        mixed, envelope = self._mixed[:size], self._envelope[:size]
        self._copy(mixed, into)
        np.multiply(mixed, plan.gain, out=mixed)
        if into < plan.rise:
            np.add(self._index[:size], into + 1, out=envelope)
            self._scale(mixed, envelope, plan.rise)
        if plan.length and into + size > plan.length - plan.fall:
            np.subtract(plan.length - into, self._index[:size], out=envelope)
            self._scale(mixed, envelope, plan.fall)
        np.add(out, mixed, out=out)

    @staticmethod
    def _scale(mixed: NDArray[np.float32], envelope: NDArray[np.float32], ramp: int) -> None:
        np.multiply(envelope, 1.0 / ramp, out=envelope)
        np.minimum(envelope, 1.0, out=envelope)
        np.multiply(mixed, envelope, out=mixed)

    def _copy(self, mixed: NDArray[np.float32], into: int) -> None:
        """Fill with the sound from `into` on, again from its beginning or silent after its end."""
        total, done = len(self._sound), 0
        while done < len(mixed):
            at = (into + done) % total if self._repeats else into + done
            size = min(len(mixed) - done, max(0, total - at))
            if size == 0:
                mixed[done:] = 0.0
                return
            mixed[done : done + size] = self._sound[at : at + size]
            done += size


def make_voice(sound: str, rate_hz: int, where: str) -> Voice:
    """Make the voice of a sound as it is configured.

    Parameters
    ----------
    sound
        A tone such as `4000 Hz`, or the path of a WAV file.
    rate_hz
        Samples per second of the sound card.
    where
        Place in the configuration, for messages.

    Returns
    -------
    Voice
        The voice.

    Raises
    ------
    UserError
        Where the tone cannot be played, or the file cannot be read.
    """
    tone = TONE.fullmatch(sound)
    if tone is None:
        return Voice(read_wav(Path(sound), rate_hz, where), repeats=False)
    hz = int(tone[1])
    if not LOWEST_HZ <= hz < rate_hz / 2:
        raise UserError(f"{where}: a tone must be between {LOWEST_HZ} Hz and half of rate_hz, got {hz} Hz")
    turns = (
        np.arange(rate_hz) * hz / rate_hz
    )  # of one second: whole periods, so that it repeats without a gap
    return Voice(np.sin(2.0 * np.pi * turns).astype(np.float32), repeats=True)


def read_wav(path: Path, rate_hz: int, where: str) -> NDArray[np.float32]:
    """Read a WAV file of 16 or 32 bit PCM; several channels become their mean.

    Parameters
    ----------
    path
        The file.
    rate_hz
        The rate that it must have, samples per second.
    where
        Place in the configuration, for messages.

    Returns
    -------
    NDArray[np.float32]
        Samples (T,) in -1..1.

    Raises
    ------
    UserError
        Where it cannot be read, is too long, or has another rate.
    """
    mend = f"`ffmpeg -i {path.name} -ar {rate_hz} -c:a pcm_s16le out.wav` makes one"
    try:
        with wave.open(str(path)) as file:
            channels, width, rate, count = file.getparams()[:4]
            if rate != rate_hz or width not in SAMPLE_FORMATS:
                raise UserError(
                    f"{where}: {path}: expected 16 or 32 bits and {rate_hz} Hz (`rate_hz`), got {8 * width} "
                    f"bits and {rate} Hz; {mend}"
                )
            if not 0 < count <= LONGEST_FILE_S * rate:
                raise UserError(
                    f"{where}: {path}: expected up to {LONGEST_FILE_S:g} s, got {count / rate:.1f} s"
                )
            data = file.readframes(count)
    except (OSError, EOFError, wave.Error) as error:
        raise UserError(
            f"{where}: expected a tone such as `4000 Hz` or a WAV file; {path} cannot be read: {error}; "
            f"{mend}"
        ) from error
    kind, full = SAMPLE_FORMATS[width]
    whole = len(data) // (width * channels) * width * channels  # a file may be cut
    samples = np.frombuffer(data[:whole], kind).reshape(-1, channels)
    if not len(samples):
        raise UserError(f"{where}: {path} has no samples; {mend}")
    return (samples.mean(1) / full).astype(np.float32)
