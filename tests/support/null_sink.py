"""A sound server of one's own with a sink that plays to nobody, and what was played to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE_HZ = 48_000
CARD = "null_sink"
ASOUND = f"</usr/share/alsa/alsa.conf>\npcm.{CARD} {{ type pulse }}\n"
"""PortAudio aborts where ALSA's own definitions are missing."""
BEGIN_S = 30.0
LISTEN = (
    *("parec", "-d", "null.monitor", "--format=float32le", f"--rate={RATE_HZ}", "--channels=1", "--raw"),
    "--latency-msec=5",
)


class NullSink:
    """A running server; `record` gives what is played meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{folder / 'socket'}",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        }
        self._folder = folder
        (folder / "asound.conf").write_text(ASOUND)
        self._server = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                *("-L", f"module-null-sink sink_name=null rate={RATE_HZ}"),
                *("-L", f"module-native-protocol-unix socket={folder / 'socket'} auth-anonymous=1"),
            ],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._listener: subprocess.Popen[bytes] | None = None

    def begun(self) -> bool:
        """Whether the server takes connections, waited for."""
        for _ in range(round(BEGIN_S / 0.05)):
            if (self._folder / "socket").exists():
                # With no listener the sink plays two seconds at a time, and a new stream waits for their end.
                with open(os.devnull, "wb") as nowhere:
                    self._listener = self._listen(nowhere.fileno())
                return True
            if self._server.poll() is not None:
                return False
            threading.Event().wait(0.05)
        return False

    def _listen(self, to: int) -> subprocess.Popen[bytes]:
        environment = os.environ | self.environment
        return subprocess.Popen(LISTEN, env=environment, stdout=to, stderr=subprocess.DEVNULL)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """The sound server stands still for the block."""
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """The sound card is gone."""
        for process in (self._server, self._listener):
            if process is not None:
                process.kill()
                process.wait()

    @contextmanager
    def record(self) -> Iterator[list[NDArray[np.float32]]]:
        """What is played in the block, as one array in the list once it has ended."""
        path = self._folder / "recorded.raw"
        with path.open("wb") as file:
            recorder = self._listen(file.fileno())
            for _ in range(200):
                if path.stat().st_size:
                    break
                threading.Event().wait(0.02)
            recorded: list[NDArray[np.float32]] = []
            try:
                yield recorded
                threading.Event().wait(0.3)
            finally:
                recorder.terminate()
                recorder.wait()
        recorded.append(np.fromfile(path, np.float32))


@contextmanager
def null_sink() -> Iterator[NullSink]:
    """A server for the block, known to this process's sound library; skips where there is none."""
    if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
        pytest.skip("no sound server: apt install pulseaudio pulseaudio-utils libasound2-plugins")
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        pytest.skip(f"no sound library: {error}")
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        sink = NullSink(Path(folder))
        try:
            if not sink.begun():
                pytest.skip("the sound server does not start here")
            os.environ.update(sink.environment)
            sounddevice._terminate()
            sounddevice._initialize()
            if CARD not in [card["name"] for card in sounddevice.query_devices()]:
                pytest.skip("no way from the sound library to the server: apt install libasound2-plugins")
            yield sink
        finally:
            os.environ.clear()
            os.environ.update(before)
            sounddevice._terminate()
            sounddevice._initialize()
            sink.kill()
