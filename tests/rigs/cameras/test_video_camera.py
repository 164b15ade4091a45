from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clip import HEIGHT, WIDTH, shown_index, write_clip
from support.odd_videos import corner, film, joined

import rigs
from rigs.cameras import video
from rigs.cameras.video import VideoCamera, VideoOptions
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.drivers import CameraFault, DriverContext, make_camera
from rt_pose.errors import UserError
from rt_pose.types import FrameStamps

rigs.register()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mkv", frames=12, rate_hz=100)


def play(options: VideoOptions, frames: int, clock: FakeClock | None = None) -> list[tuple[FrameStamps, int]]:
    """Stamps, and the number that each image shows, of the first frames."""
    camera = VideoCamera("file", options, DriverContext(clock or FakeClock(7_000_000)))
    info = camera.open()
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    seen = []
    for _ in range(frames):
        stamps = camera.grab(image)
        if stamps is None:
            break
        seen.append((stamps, shown_index(image)))
    camera.close()
    return seen


def test_info_comes_from_the_file(clip: Path) -> None:
    camera = VideoCamera("file", VideoOptions(str(clip)), DriverContext(FakeClock()))
    info = camera.open()
    assert (info.width, info.height, info.channels, info.rate_hz) == (WIDTH, HEIGHT, 1, 100.0)
    camera.close()
    colour = VideoCamera("file", VideoOptions(str(clip), channels=3), DriverContext(FakeClock()))
    assert colour.open().channels == 3
    colour.close()


def test_its_own_pace(clip: Path) -> None:
    seen = play(VideoOptions(str(clip)), 100)
    assert [shown for _, shown in seen] == list(range(12))
    for i, (stamps, _) in enumerate(seen):
        assert stamps.index == i
        assert stamps.t_exposure_ns == 7_000_000 + i * 10 * NS_PER_MS
        assert stamps.t_arrival_ns == stamps.t_exposure_ns
        assert stamps.t_scene_ns == i * 10 * NS_PER_MS
        assert stamps.epoch == 0


def test_another_pace_leaves_scene_time_alone(clip: Path) -> None:
    seen = play(VideoOptions(str(clip), rate_hz=400.0), 12)
    for i, (stamps, _) in enumerate(seen):
        assert stamps.t_exposure_ns == 7_000_000 + i * 2_500_000
        assert stamps.t_scene_ns == i * 10 * NS_PER_MS


@pytest.mark.parametrize("rate_hz", [None, 50.0])
def test_looping_goes_on_in_time_and_counts_epochs(clip: Path, rate_hz: float | None) -> None:
    seen = play(VideoOptions(str(clip), loop=True, rate_hz=rate_hz, start=2), 35)
    host_ms = 10 if rate_hz is None else 20
    for i, (stamps, shown) in enumerate(seen):
        assert shown == 2 + i % 10
        assert stamps.epoch == i // 10
        assert stamps.index == 2 + i
        assert stamps.t_exposure_ns == 7_000_000 + i * host_ms * NS_PER_MS
        assert stamps.t_scene_ns == (2 + i) * 10 * NS_PER_MS


def late_by(clip: Path, late_ms: float, skip: bool) -> list[int]:
    clock = FakeClock()
    camera = VideoCamera("file", VideoOptions(str(clip), skip_when_late=skip), DriverContext(clock))
    camera.open()
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    shown = []
    for _ in range(3):
        stamps = camera.grab(image)
        assert stamps is not None
        assert stamps.index == shown_index(image)
        shown.append(stamps.index)
        clock.advance_ms(late_ms)
        late_ms = 0.0
    camera.close()
    return shown


def test_a_late_reader_skips_frames(clip: Path) -> None:
    assert late_by(clip, 15.0, skip=True) == [0, 1, 2]
    assert late_by(clip, 35.0, skip=True) == [0, 3, 4]


def test_every_frame_mode_skips_none(clip: Path) -> None:
    assert late_by(clip, 35.0, skip=False) == [0, 1, 2]


def test_a_missing_file_is_said_before_anything_starts(tmp_path: Path) -> None:
    camera = make_camera("file", "video", {"path": str(tmp_path / "none.mp4")}, DriverContext(FakeClock()))
    with pytest.raises(UserError, match=r"none\.mp4: no such file"):
        camera.open()


def test_opening_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    camera = make_camera("file", "video", {"path": str(path)}, DriverContext(FakeClock()))
    with pytest.raises(UserError):
        camera.open()
    write_clip(path)
    assert camera.open().width == WIDTH
    camera.close()


def test_a_start_past_the_end_is_refused(clip: Path) -> None:
    camera = VideoCamera("file", VideoOptions(str(clip), start=12), DriverContext(FakeClock()))
    with pytest.raises(UserError, match=r"start must be below 12, .* got 12"):
        camera.open()


def test_a_recording_damaged_in_the_middle_is_a_fault(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "damaged.avi", frames=40, codec="mjpeg")
    data = bytearray(path.read_bytes())
    pictures = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    # From the 20th picture on the pictures are blanked; their places in the file stay.
    for begin in pictures[20:]:
        length = int.from_bytes(data[begin - 4 : begin], "little")
        data[begin : begin + length] = bytes(length)
    path.write_bytes(data)
    camera = VideoCamera("file", VideoOptions(str(path)), DriverContext(FakeClock()))
    info = camera.open()
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    for _ in range(10):
        assert camera.grab(image) is not None

    def resume() -> None:
        while camera.grab(image) is not None:
            pass

    with pytest.raises(CameraFault, match=r"camera file: .*damaged\.avi"):
        resume()
    camera.close()


@pytest.mark.parametrize(
    ("wanted", "network", "given"), [("auto", 1, 1), ("auto", 3, 3), ("auto", None, 1), (3, 1, 3), (1, 3, 1)]
)
def test_auto_gives_what_the_network_wants(clip: Path, wanted: Any, network: int | None, given: int) -> None:
    context = DriverContext(FakeClock(), channels=network)
    camera = VideoCamera("cam", VideoOptions(str(clip), channels=wanted), context)
    assert camera.open().channels == given
    camera.close()


def test_preloaded_frames_are_the_same_frames(clip: Path) -> None:
    for loop in (False, True):
        options = VideoOptions(str(clip), loop=loop, start=2)
        assert play(replace(options, preload=True), 30) == play(options, 30)


def test_a_recording_that_does_not_fit_is_played_up_to_where_it_fits(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "PRELOAD_BYTES", 5 * WIDTH * HEIGHT)
    seen = play(VideoOptions(str(clip), preload=True, loop=True), 12)
    assert [shown for _, shown in seen] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert [stamps.epoch for stamps, _ in seen] == [0] * 5 + [1] * 5 + [2] * 2
    camera = VideoCamera("file", VideoOptions(str(clip), preload=True), DriverContext(FakeClock()))
    with pytest.raises(UserError, match="does not fit"):
        camera.open()


@pytest.mark.parametrize("preload", [False, True])
def test_frames_are_scaled_where_a_size_is_asked_for(clip: Path, preload: bool) -> None:
    options = VideoOptions(str(clip), size=[32, 20], channels=3, preload=preload)
    camera = VideoCamera("file", options, DriverContext(FakeClock()))
    info = camera.open()
    assert (info.width, info.height, info.channels) == (32, 20, 3)
    image = np.zeros((20, 32, 3), np.uint8)
    for expected in range(3):
        assert camera.grab(image) is not None
        assert shown_index(image) == expected
    camera.close()


@pytest.mark.parametrize("preload", [False, True])
def test_a_recording_whose_times_begin_again_keeps_its_pace_in_a_new_epoch(
    tmp_path: Path, preload: bool
) -> None:
    frames = [corner(i) for i in range(6)]
    path = joined(tmp_path / "joined.ts", frames, frames)
    camera = VideoCamera(
        "file", VideoOptions(str(path), loop=True, preload=preload), DriverContext(FakeClock())
    )
    info = camera.open()
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    seen = [stamps for _ in range(30) if (stamps := camera.grab(image)) is not None]
    camera.close()
    assert [stamps.epoch for stamps in seen] == [i // 6 for i in range(30)]
    assert [stamps.index for stamps in seen] == list(range(30))
    for times in ([s.t_scene_ns for s in seen], [s.t_exposure_ns or 0 for s in seen]):
        np.testing.assert_allclose(np.diff(times), 1e9 / 30, atol=2e5)


def test_a_recording_whose_size_changes_ends_with_a_fault_that_says_so(tmp_path: Path) -> None:
    path = joined(tmp_path / "changed.ts", [corner(i) for i in range(4)], [corner(0, 80, 60)] * 3)
    camera = VideoCamera("file", VideoOptions(str(path), size=[32, 24]), DriverContext(FakeClock()))
    camera.open()
    image = np.zeros((24, 32, 3), np.uint8)
    for _ in range(4):
        assert camera.grab(image) is not None
    with pytest.raises(
        CameraFault, match="its frames change from 64x48 to 80x60 at frame 4; the 4 frames before"
    ):
        camera.grab(image)
    camera.close()


def test_a_phones_recording_is_played_upright(tmp_path: Path) -> None:
    path = film(tmp_path / "phone.mp4", [corner(i) for i in range(4)], rotation=-90)
    camera = VideoCamera("file", VideoOptions(str(path), channels=1), DriverContext(FakeClock()))
    info = camera.open()
    assert (info.width, info.height) == (48, 64)
    image = np.zeros((64, 48, 1), np.uint8)
    assert camera.grab(image) is not None
    assert np.abs(image[..., 0].astype(int) - np.rot90(corner(0), -1)).max() <= 4
    camera.close()


@pytest.mark.parametrize("size", [[10], [0, 10], [1, 2, 3]])
def test_a_size_is_two_numbers(clip: Path, size: list[int]) -> None:
    with pytest.raises(UserError, match="size must be"):
        VideoCamera("file", VideoOptions(str(clip), size=size), DriverContext(FakeClock()))


def test_a_playing_that_stood_still_goes_on_at_its_pace(clip: Path) -> None:
    clock = FakeClock()
    camera = VideoCamera("file", VideoOptions(str(clip)), DriverContext(clock))
    camera.open()
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    for _ in range(3):
        camera.grab(image)
    clock.advance_ms(1000.0)
    stood_ns = clock.now_ns()
    camera.resume()
    for i in range(1, 4):
        stamps = camera.grab(image)
        assert stamps is not None
        assert stamps.index == 2 + i
        assert stamps.t_exposure_ns == stood_ns + i * 10 * NS_PER_MS
    camera.close()
