"""What voices play, sample by sample, and what is said of sounds that cannot be played."""

from __future__ import annotations

import tracemalloc
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rigs.sounds import CHUNK, Plan, Voice, make_voice, plan_sound, read_wav
from rt_pose.errors import UserError
from rt_pose.types import Command

RATE_HZ = 48_000
ONES = np.ones(RATE_HZ, np.float32)


def plan(volume: float = 1.0, ramp_ms: float = 0.0, **what: Any) -> Plan | None:
    what = {"action": "pulse", "duration_us": 1000} | what
    return plan_sound(Command(1, 1, "speaker", 0, **what), RATE_HZ, volume, ramp_ms)


def played(voice: Voice, samples: int, chunk: int = CHUNK) -> NDArray[np.float32]:
    out = np.zeros(samples, np.float32)
    for begin in range(0, samples, chunk):
        voice.add_to(out[begin : begin + chunk], begin)
    return out


def runs(signal: NDArray[np.float32]) -> list[tuple[int, int]]:
    """First sample and length of each piece that is not silent."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], signal, [0.0]]) != 0))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize("chunk", [1, 7, 480, CHUNK])
def test_a_train_is_exact_to_the_sample_in_any_pieces(chunk: int) -> None:
    voice = Voice(ONES, repeats=True)
    voice.play(plan(action="train", duration_us=1000, period_us=2500, count=3))
    assert runs(played(voice, 1000, chunk)) == [(0, 48), (120, 48), (240, 48)]
    assert not voice.playing


def test_a_level_lasts_until_it_is_ended() -> None:
    voice = Voice(ONES, repeats=True)
    voice.play(plan(action="level", duration_us=0))
    assert runs(played(voice, 3 * RATE_HZ)) == [(0, 3 * RATE_HZ)]
    assert voice.playing
    voice.play(plan(action="stop"))
    assert runs(played(voice, CHUNK)) == []


def test_a_sound_too_short_for_a_sample_is_one_sample_and_not_for_ever() -> None:
    voice = Voice(ONES, repeats=True)
    voice.play(plan(duration_us=1))
    assert runs(played(voice, CHUNK)) == [(0, 1)]


@pytest.mark.parametrize(
    "what",
    [{"action": "stop"}, {"action": "level", "amplitude": 0.0}, {"action": "analog", "duration_us": 0}],
)
def test_what_makes_no_sound_is_no_plan(what: dict[str, Any]) -> None:
    assert plan(**what) is None


def test_ramps_rise_and_fall_in_any_pieces() -> None:
    what = {
        "action": "analog",
        "duration_us": 1000,
        "ramp_up_us": 2000,
        "ramp_down_us": 1000,
        "amplitude": 0.5,
    }
    signals = []
    for chunk in (7, CHUNK):
        voice = Voice(ONES, repeats=True)
        voice.play(plan(volume=0.8, **what))
        signals.append(played(voice, 300, chunk))
    np.testing.assert_array_equal(*signals)
    up, hold, down = signals[0][:96], signals[0][96:144], signals[0][144:192]
    np.testing.assert_allclose(up, 0.4 * np.arange(1, 97) / 96, rtol=1e-5)
    np.testing.assert_allclose(hold, 0.4, rtol=1e-6)
    np.testing.assert_allclose(down, 0.4 * np.arange(48, 0, -1) / 48, rtol=1e-5)
    assert not signals[0][192:].any()


def test_ramps_longer_than_the_sound_are_shortened() -> None:
    voice = Voice(ONES, repeats=True)
    voice.play(plan(ramp_ms=10.0, duration_us=1000))
    signal = played(voice, 100)
    assert runs(signal) == [(0, 48)]
    assert signal.max() == pytest.approx(1.0)
    assert signal[0] < 0.1 > signal[47]


def test_a_tone_has_its_frequency_and_repeats_without_a_step() -> None:
    voice = make_voice("4000 Hz", RATE_HZ, "here")
    voice.play(plan(action="level", duration_us=0))
    signal = played(voice, 2 * RATE_HZ)
    spectrum = np.abs(np.fft.rfft(signal))
    assert spectrum.argmax() == 8000
    assert np.abs(np.diff(signal)).max() < 2 * np.pi * 4000 / RATE_HZ + 1e-3


def test_a_recording_is_over_at_its_end() -> None:
    voice = Voice(ONES[:100], repeats=False)
    voice.play(plan(duration_us=10_000))
    assert runs(played(voice, CHUNK)) == [(0, 100)]


def test_whoever_waits_learns_when_it_sounds_or_that_it_never_did() -> None:
    voice, first, second = Voice(ONES, repeats=True), plan(), plan()
    assert first is not None
    assert second is not None
    voice.play(first)
    voice.play(second)
    assert first.came.is_set()
    assert first.t_effect_ns == 0
    assert not second.came.is_set()
    voice.add_to(np.zeros(10, np.float32), 777)
    assert second.t_effect_ns == 777
    assert second.came.is_set()


def test_the_sound_cards_thread_makes_no_arrays() -> None:
    voice = make_voice("440 Hz", RATE_HZ, "here")
    voice.play(plan(action="train", duration_us=50_000, period_us=70_000, count=1000, ramp_ms=5.0))
    out = np.zeros(CHUNK, np.float32)
    for _ in range(50):
        voice.add_to(out, 0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(500):
        voice.add_to(out, 0)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1000
    assert peak - before < CHUNK * 4, "an array of a chunk has been made"


def write_wav(path: Path, rate: int = RATE_HZ, width: int = 2, channels: int = 2, count: int = 480) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        half = (1 << 8 * width - 2).to_bytes(width, "little")
        file.writeframes((half + bytes(width) * (channels - 1)) * count)
    return path


@pytest.mark.parametrize(("width", "channels", "mean"), [(2, 1, 0.5), (2, 2, 0.25), (4, 2, 0.25)])
def test_wav_files_are_read(tmp_path: Path, width: int, channels: int, mean: float) -> None:
    samples = read_wav(write_wav(tmp_path / "go.wav", width=width, channels=channels), RATE_HZ, "here")
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, np.full(480, mean))


def test_a_cut_wav_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "go.wav")
    path.write_bytes(path.read_bytes()[:-3])
    assert len(read_wav(path, RATE_HZ, "here")) == 479


def test_sounds_that_cannot_be_played(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"RIFF nonsense")
    (tmp_path / "empty.wav").write_bytes(b"")
    cases = {
        "10 Hz": "between 20 Hz and half of rate_hz, got 10 Hz",
        "24000 Hz": "between 20 Hz and half",
        "4 kHz": "expected a tone such as `4000 Hz` or a WAV file; 4 kHz cannot be read",
        str(tmp_path / "none.wav"): "cannot be read.*ffmpeg -i none.wav -ar 48000",
        str(tmp_path / "no.wav"): "cannot be read",
        str(tmp_path / "empty.wav"): "cannot be read",
        str(
            write_wav(tmp_path / "slow.wav", rate=44_100)
        ): "16 bits and 44100 Hz; `ffmpeg -i slow.wav -ar 48000",
        str(write_wav(tmp_path / "deep.wav", width=3)): "got 24 bits and 48000 Hz",
        str(write_wav(tmp_path / "nothing.wav", count=0)): r"up to 60 s, got 0\.0 s",
    }
    for sound, expected in cases.items():
        with pytest.raises(UserError, match=rf"(?s)here.*{expected}"):
            make_voice(sound, RATE_HZ, "here")
