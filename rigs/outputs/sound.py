"""Sounds through the sound card: tones and WAV files, timed by the card's own samples.

The stream runs from the opening on, silent, so that a sound begins one buffer after its command: that is its
delay, stated when it is opened. The time of effect is the stream's own, where its library knows it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rigs.hang_guard import HEARTBEAT_MS, HangGuard
from rigs.option_checks import check_delay
from rigs.serial_link import DeviceFault
from rigs.sounds import CHUNK, Voice, make_voice, plan_sound
from rigs.timed_lines import ANALOG, impossible
from rt_pose import extras
from rt_pose.clock import NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError, check_range
from rt_pose.types import Ack, Command, OutputInfo

LIBRARY_REMEDY = "PortAudio is not installed: `sudo apt install libportaudio2`"
NOT_TRIED = "not run on a real sound card yet"
BUFFERS_WAITED = 4
LEAST_PATIENCE_S = 0.5
"""A sound that was not taken within so many buffers, and at least so long, has failed."""
RUNNING_WITHIN_S = 5.0
"""A sound server may think for a second before a new stream moves."""


@dataclass
class SoundOptions:
    """Which sound card, and what its lines play."""

    device: str = ""
    """Name of the sound card's output or a part of it (`rt-pose devices` lists them); the system's default
    where not given."""
    sounds: list[str] = field(default_factory=lambda: ["1000 Hz"])
    """What lines 0, 1, ... play: a tone such as `4000 Hz`, or the path of a WAV file."""
    volume: float = 0.5
    """Peak at amplitude 1, share of the full scale."""
    ramp_ms: float = 2.0
    """Rise and fall at the ends of a sound: a step would click."""
    rate_hz: int = 48_000
    """Samples per second; WAV files must have the same."""
    latency_ms: float = 10.0
    """Length of the buffer that is asked for; too short a one runs empty, which is reported."""
    delay_ms: float | None = None
    """From the command to the sound, measured; the stream's own statement where not given."""


@output_driver("sound")
class SoundOutput:
    """One stream on one sound card; each line is a sound."""

    Options: ClassVar[type] = SoundOptions

    def __init__(self, name: str, options: SoundOptions, context: DriverContext) -> None:
        _check(options, f"outputs.{name}.options")
        self._name, self._options, self._clock = name, options, context.clock
        self._voices: list[Voice] = []
        self._stream: Any = None
        self._stream_lock = threading.Lock()
        self._mono = np.zeros(CHUNK, np.float32)
        self._gaps = self._gaps_reported = 0
        self._samples = 0
        """What the sound card has taken."""
        self._patience_s = LEAST_PATIENCE_S
        """How long the sound card may take to begin with a sound."""
        self._guard = HangGuard(self.safe_state, "all sounds were ended")

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        if extras.missing("sound"):
            return [FoundDevice("sound", "", "sound cards", False, f"`{extras.remedy('sound')}`")]
        try:
            import sounddevice
        except OSError:
            return [FoundDevice("sound", "", "sound cards", False, LIBRARY_REMEDY)]
        return [
            FoundDevice("sound", "", f"{card['name']}, {card['max_output_channels']} channels ({NOT_TRIED})")
            for card in sounddevice.query_devices()
            if card["max_output_channels"] > 0
        ]

    def open(self) -> OutputInfo:
        """See `Output.open`. Starts the stream, which is silent.

        Raises
        ------
        UserError
            Where the package, its library or the sound card is not there, or a sound cannot be read.
        """
        where = f"outputs.{self._name}"
        sounddevice = _library(where)
        self.close()
        self._samples = 0
        options = self._options
        self._voices = [make_voice(s, options.rate_hz, f"{where}.options.sounds") for s in options.sounds]
        try:
            card = _find_card(sounddevice, options.device, where)
            self._stream = sounddevice.OutputStream(
                samplerate=options.rate_hz,
                device=card["index"],
                channels=min(2, card["max_output_channels"]),
                dtype="float32",
                latency=options.latency_ms / 1000,
                callback=self._fill,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            self.close()
            raise UserError(
                f"{where}: the sound card '{options.device or 'default'}' cannot be used: {error}"
            ) from error
        buffer_ms = float(self._stream.latency) * 1000
        self._patience_s = max(LEAST_PATIENCE_S, BUFFERS_WAITED * buffer_ms / 1000)
        self._wait_until_it_runs(2 * buffer_ms, where)
        return OutputInfo(
            name=self._name,
            driver="sound",
            serial=card["name"],
            delay_ms=round(buffer_ms, 3) if options.delay_ms is None else options.delay_ms,
            echoes=False,
            detail=f"{', '.join(options.sounds)}; buffer {buffer_ms:.1f} ms, {options.rate_hz} Hz; "
            f"{NOT_TRIED}",
            heartbeat_ms=HEARTBEAT_MS,
            lines=len(self._voices),
            actions=list(ANALOG),
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`. The sound card's thread takes the sound with its next buffer.

        Raises
        ------
        DeviceFault
            Where the stream has ended.
        """
        refusal = self._refusal(command)
        if refusal:
            return Ack(command.id, self._name, None, None, None, ok=False, detail=refusal)
        options = self._options
        plan = plan_sound(command, options.rate_hz, options.volume, options.ramp_ms)
        self._voices[command.line].play(plan)
        ack = Ack(command.id, self._name, self._clock.now_ns(), None, None, ok=True)
        if plan is None:
            return ack
        if not plan.came.wait(self._patience_s):
            self._voices[command.line].withdraw(plan)  # it must not sound later, when it counts as failed
            self._raise_ended()
            ack.ok, ack.detail = False, f"the sound card took nothing for {self._patience_s * 1000:.0f} ms"
            return ack
        if not plan.t_effect_ns:
            ack.ok, ack.detail = False, "made safe before it began to sound"
            return ack
        ack.t_effect_ns = plan.t_effect_ns
        return ack

    def heartbeat(self, alive: bool) -> list[str]:
        """See `WatchedOutput.heartbeat`. Where the loop hangs, the sounds end here.

        Raises
        ------
        DeviceFault
            Where the stream has ended.
        """
        if self._stream is None:
            return []
        self._raise_ended()
        reported = self._guard.heartbeat(alive)
        new, self._gaps_reported = self._gaps - self._gaps_reported, self._gaps
        if new:
            reported.append(f"the buffer ran empty {new} times: sounds had gaps; give a longer `latency_ms`")
        return reported

    def safe_state(self) -> None:
        """See `Output.safe_state`. What is in the buffer already still sounds: that is the stated delay."""
        for voice in self._voices:
            voice.play(None)

    def close(self) -> None:
        """See `Output.close`."""
        for voice in self._voices:
            voice.play(None)
        with self._stream_lock:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.close(ignore_errors=True)

    def _wait_until_it_runs(self, buffered_ms: float, where: str) -> None:
        end_ns = self._clock.now_ns() + round(RUNNING_WITHIN_S * NS_PER_S)
        while self._samples < buffered_ms / 1000 * self._options.rate_hz:
            if self._clock.now_ns() > end_ns:
                self.close()
                raise UserError(f"{where}: the sound card takes no samples; is another program blocking it?")
            self._clock.sleep_until_ns(self._clock.now_ns() + NS_PER_S // 200)

    def _fill(self, out: NDArray[np.float32], frames: int, time: Any, status: Any) -> None:
        """Fill the sound card's next buffer, in a thread of its library."""
        if status.output_underflow:
            self._gaps += 1
        self._samples += frames
        ahead_ns = max(0, round((time.outputBufferDacTime - time.currentTime) * NS_PER_S))
        t_ns = self._clock.now_ns() + ahead_ns
        for begin in range(0, frames, CHUNK):
            part = out[begin : begin + CHUNK]
            mono = self._mono[: len(part)]
            mono.fill(0.0)
            for voice in self._voices:
                voice.add_to(mono, t_ns + begin * NS_PER_S // self._options.rate_hz)
            part[:] = mono[:, np.newaxis]

    def _refusal(self, command: Command) -> str:
        if self._stream is None:
            return "the output is not open"
        if command.action not in ANALOG:
            return f"a sound card takes no {command.action}"
        return impossible(command, len(self._voices))

    def _raise_ended(self) -> None:
        with self._stream_lock:
            if self._stream is not None and not self._stream.active:
                raise DeviceFault("the sound card's stream has ended; is it unplugged?")


def _library(where: str) -> Any:
    extras.require("sound", f"{where}: driver sound")
    try:
        import sounddevice
    except OSError as error:
        raise UserError(f"{where}: {LIBRARY_REMEDY}") from error
    return sounddevice


def _find_card(sounddevice: Any, name: str, where: str) -> dict[str, Any]:
    """The sound card's output with that name, or the system's default."""
    cards = [card for card in sounddevice.query_devices() if card["max_output_channels"] > 0]
    there = "; ".join(card["name"] for card in cards) or "none"
    if not name and cards:
        return dict(sounddevice.query_devices(kind="output"))
    found = [card for card in cards if card["name"] == name] or [c for c in cards if name in c["name"]]
    if not found:
        raise UserError(f"{where}.options.device: no sound card '{name or 'default'}'; there are: {there}")
    if len(found) > 1:
        raise UserError(
            f"{where}.options.device: '{name}' is part of several names: {there}; give a whole one"
        )
    return dict(found[0])


def _check(options: SoundOptions, where: str) -> None:
    if options.delay_ms is not None:
        check_delay(where, options.delay_ms)
    if not options.sounds or not all(options.sounds):
        raise UserError(f"{where}.sounds: expected tones such as `4000 Hz`, or WAV files, at least one")
    check_range(where, "volume", options.volume, 0.0, 1.0)
    check_range(where, "ramp_ms", options.ramp_ms, 0.0, 1000.0)
    check_range(where, "rate_hz", options.rate_hz, 8000, 192_000)
    check_range(where, "latency_ms", options.latency_ms, 1.0, 1000.0)
