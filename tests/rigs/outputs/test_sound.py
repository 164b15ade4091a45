"""Sounds on a sink that plays to nobody, recorded there and measured. Not run on a real sound card."""

from __future__ import annotations

import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.null_sink import CARD, RATE_HZ, NullSink, null_sink

import rigs
from rigs.outputs.sound import SoundOutput
from rigs.serial_link import DeviceFault
from rt_pose import extras
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.types import Command, OutputInfo

rigs.register()
pytestmark = pytest.mark.alone  # sounds keep to time, and are measured
QUIET = 0.01


@pytest.fixture(scope="module")
def sink() -> Iterator[NullSink]:
    with null_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def opened(sink: NullSink) -> Iterator[tuple[SoundOutput, OutputInfo]]:
    """A speaker, silent between tests, and what it said: sound cards take long to open and to close."""
    made = make(device=CARD, sounds=["1000 Hz", "4000 Hz"], latency_ms=150.0)
    yield made, made.open()
    made.close()


@pytest.fixture
def speaker(opened: tuple[SoundOutput, OutputInfo]) -> SoundOutput:
    return opened[0]


def make(**options: Any) -> SoundOutput:
    made = make_output("speaker", "sound", options, DriverContext(HostClock()))
    assert isinstance(made, SoundOutput)
    return made


def command(action: str = "pulse", line: int = 0, **changes: Any) -> Command:
    changes = {"duration_us": 200_000 if action == "pulse" else 0} | changes
    return Command(1, 1, "speaker", line, action, **changes)  # type: ignore[arg-type]


def loud_ms(signal: NDArray[np.float32]) -> float:
    """From the first to the last sample that is no silence, ms."""
    loud = np.flatnonzero(np.abs(signal) > QUIET)
    return 0.0 if not len(loud) else (loud[-1] - loud[0] + 1) / RATE_HZ * 1000


def pitch_hz(signal: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(signal)).argmax() * RATE_HZ / len(signal))


def test_the_buffers_delay_is_stated(opened: tuple[SoundOutput, OutputInfo]) -> None:
    _, info = opened
    assert 0.0 < info.delay_ms <= 1000.0
    assert f"buffer {info.delay_ms:.1f} ms" in info.detail
    assert "not run on a real sound card" in info.detail
    assert not info.echoes


@pytest.mark.parametrize(("line", "hz"), [(0, 1000), (1, 4000)])
def test_a_tone_of_its_pitch_and_length_is_played(
    sink: NullSink, speaker: SoundOutput, line: int, hz: int
) -> None:
    with sink.record() as recorded:
        ack = speaker.send(command(line=line))
        threading.Event().wait(0.4)
    (signal,) = recorded
    assert ack.ok, ack.detail
    assert ack.t_ack_ns is None
    assert ack.t_sent_ns is not None
    assert ack.t_effect_ns is not None
    assert ack.t_sent_ns <= ack.t_effect_ns < ack.t_sent_ns + 1000 * NS_PER_MS, "the stream's own"
    assert 195.0 < loud_ms(signal) < 205.0
    assert abs(pitch_hz(signal) - hz) < 10
    assert np.abs(signal).max() == pytest.approx(0.5, abs=0.05)


def test_a_wav_file_is_played(sink: NullSink, tmp_path: Path) -> None:
    path = tmp_path / "go.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        turns = np.arange(RATE_HZ // 10) * 2000 / RATE_HZ
        file.writeframes((np.sin(2 * np.pi * turns) * 30_000).astype("<i2").tobytes())
    speaker = make(device=CARD, sounds=[str(path)], volume=1.0, latency_ms=150.0, delay_ms=12.5)
    assert speaker.open().delay_ms == 12.5, "as it was measured"
    with sink.record() as recorded:
        assert speaker.send(command(duration_us=5_000_000)).ok
        threading.Event().wait(0.4)
    speaker.close()
    assert 95.0 < loud_ms(recorded[0]) < 105.0, "it is over at the file's end"
    assert abs(pitch_hz(recorded[0]) - 2000) < 20


def test_a_sound_that_failed_does_not_play_later(sink: NullSink, speaker: SoundOutput) -> None:
    with sink.record() as recorded:
        with sink.stalled():
            threading.Event().wait(0.3)  # what the server had asked for before is taken
            ack = speaker.send(command(duration_us=50_000))
        threading.Event().wait(0.3)
    assert not ack.ok
    assert "the sound card took nothing for" in ack.detail
    assert loud_ms(recorded[0]) == 0.0


@pytest.mark.parametrize("end", ["stop", "safe state", "level off", "the loop hangs", "close"])
def test_what_ends_a_sound(sink: NullSink, speaker: SoundOutput, end: str) -> None:
    speaker.heartbeat(True)
    with sink.record() as recorded:
        assert speaker.send(command("level")).ok
        threading.Event().wait(0.3)
        match end:
            case "stop":
                assert speaker.send(command("stop")).ok
            case "level off":
                assert speaker.send(command("level", amplitude=0.0)).ok
            case "safe state":
                speaker.safe_state()
            case "close":
                speaker.close()
            case _:
                assert speaker.heartbeat(False) == ["the loop does not turn: all sounds were ended"]
        threading.Event().wait(0.4)
    assert 100.0 < loud_ms(recorded[0]) < 600.0
    if end in ("safe state", "stop"):
        assert speaker.send(command(duration_us=1000)).ok, "it can be used again"
        threading.Event().wait(0.3)  # until it is silent


def test_a_sound_server_that_dies_is_a_fault(speaker: SoundOutput) -> None:
    speaker.close()  # the library begins anew for the other server
    with null_sink() as sink:
        other = make(device=CARD)
        other.open()
        assert other.send(command()).ok
        sink.kill()
        with pytest.raises(DeviceFault, match="the sound card's stream has ended"):
            beat_until(other, lambda: False)
        other.close()


def beat_until(speaker: SoundOutput, done: Callable[[], bool]) -> None:
    for _ in range(500):
        speaker.heartbeat(True)
        if done():
            return
        threading.Event().wait(0.01)


def test_cards_are_listed(sink: NullSink) -> None:
    found = SoundOutput.find()
    assert any(d.description.startswith(CARD) and d.usable for d in found)
    assert all("not run on a real sound card" in d.description for d in found)


def test_a_card_that_is_not_there_or_not_one(sink: NullSink) -> None:
    with pytest.raises(UserError, match=rf"device: no sound card 'Realtek'; there are: .*{CARD}"):
        make(device="Realtek").open()


def test_without_package_or_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def no_library(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(extras, "installed", lambda module: True)
    monkeypatch.setattr(builtins, "__import__", no_library)
    assert SoundOutput.find()[0].remedy == "PortAudio is not installed: `sudo apt install libportaudio2`"
    with pytest.raises(UserError, match="PortAudio is not installed: `sudo apt install libportaudio2`"):
        make().open()
    monkeypatch.undo()
    monkeypatch.setattr(extras, "installed", lambda module: False)
    assert SoundOutput.find()[0].remedy == "`pip install 'rt-pose[sound]'`"
    with pytest.raises(
        UserError, match=r"outputs\.speaker: driver sound needs sounddevice, which is not installed"
    ):
        make().open()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sounds": []}, r"sounds: expected tones such as `4000 Hz`"),
        ({"sounds": [""]}, r"sounds: expected tones"),
        ({"volume": 1.5}, "volume must be between 0 and 1, got 1.5"),
        ({"ramp_ms": -1.0}, "ramp_ms must be between 0 and 1000, got -1"),
        ({"rate_hz": 100}, "rate_hz must be between 8000 and 192000, got 100"),
        ({"latency_ms": 0.0}, "latency_ms must be between 1 and 1000, got 0"),
        ({"delay_ms": -1.0}, "delay_ms must be between 0 and 1000, got -1"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=rf"outputs\.speaker\.options[.:] ?{expected}"):
        make(**options)
