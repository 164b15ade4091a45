"""Processes that begin in milliseconds: each is forked from one that has imported what it needs.

The program itself spawns the processes of a run (`rt_pose.session.processes`), which costs each two or three
seconds of a processor; one that trains takes ten. What they do from their first line on is the same, in the
surroundings of who starts them: environment, folder, signals held back, open streams. Tests that start
`rt-pose` as a program start it as users do, unless they use `support.programs`.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, popen_forkserver, reduction, resource_tracker, spawn, util
from multiprocessing.context import ForkServerContext, set_spawning_popen
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

TESTS = Path(__file__).resolve().parent.parent
RUNS, PROGRAMS = "support.warm_imports", "support.warm_training"
"""What is imported beforehand by those of a run, and by any program of ours."""
KNOWN_AS = "RT_POSE_TEST_SERVER_"
"""Begin of the environment variables that say where the servers are."""
FIXED = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""What OpenMP reads when torch is imported. A pool of threads would not survive a fork."""


class Server(forkserver.ForkServer):
    """The process that forks. Who has the environment of the one that started it uses the same."""

    def __init__(self, imports: str) -> None:
        super().__init__()
        self.set_forkserver_preload([imports])
        self.known_as = KNOWN_AS + imports.rpartition(".")[2].upper()
        self._beginning = threading.Lock()

    @property
    def address(self) -> str | None:
        """Of its socket; None before it is known."""
        return self._forkserver_address

    def ensure_running(self) -> None:
        """See `multiprocessing.forkserver.ForkServer`."""
        resource_tracker.ensure_running()
        with self._beginning:
            if self.address is not None:
                return
            if (there := os.environ.get(self.known_as)) is not None:
                self._forkserver_address = there
                self._forkserver_alive_fd = os.open(os.devnull, os.O_WRONLY)
                return
            path = os.pathsep.join(
                filter(None, [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH")])
            )
            before = signal.pthread_sigmask(
                signal.SIG_BLOCK, {signal.SIGINT}
            )  # until one is in its surroundings
            try:
                with mock.patch.dict(os.environ, FIXED | {"PYTHONPATH": path}):
                    super().ensure_running()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.environ[self.known_as] = self._forkserver_address


_servers: dict[str, Server] = {}


def addresses() -> dict[str, str]:
    """The environment variables of the servers that are known here."""
    return {s.known_as: s.address for s in list(_servers.values()) if s.address is not None}


def server(imports: str) -> Server:
    """The one that has imported a module."""
    return _servers.setdefault(imports, Server(imports))


class Surroundings:
    """Those of who starts a process, as they are when it does; `enter` is for the process."""

    def __init__(
        self,
        streams: Mapping[int, int] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        self._streams = {1: 1, 2: 2} if streams is None else dict(streams)
        self._environment, self._folder = environment, folder

    def __getstate__(self) -> dict[str, Any]:
        given = os.environ if self._environment is None else self._environment
        return {
            "_streams": {number: reduction.DupFd(fd) for number, fd in self._streams.items()},
            "_environment": {**given, **addresses()},
            "_folder": os.getcwd() if self._folder is None else self._folder,
            "_blocked": signal.pthread_sigmask(signal.SIG_BLOCK, []),
            "_ignores": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        }

    def enter(self) -> None:
        """Go on in them."""
        os.environ.clear()
        os.environ.update(self._environment or {})
        os.chdir(self._folder or "/")
        tempfile.tempdir = None  # maybe that of another's environment
        for number, stream in self._streams.items():
            fd = stream.detach()  # type: ignore[attr-defined]
            os.dup2(fd, number)
            os.close(fd)
        # As where a program is executed: what is handled is not, what is ignored is.
        ignores = self._ignores  # type: ignore[attr-defined]
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignores else signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)  # type: ignore[attr-defined]


class WarmPopen(popen_forkserver.Popen):
    """As its base, of one of several servers."""

    def _launch(self, process_obj: WarmProcess) -> None:
        for imports in {RUNS, process_obj.imports}:  # a program may begin a run
            server(imports).ensure_running()
        preparation = spawn.get_preparation_data(process_obj.name)
        if not process_obj.knows_main:
            preparation = {k: v for k, v in preparation.items() if not k.startswith("init_main")}
        data = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(preparation, data)
            reduction.dump(process_obj, data)
        finally:
            set_spawning_popen(None)
        self.sentinel, write = server(process_obj.imports).connect_to_new_process(self._fds)
        ours = os.dup(write)  # by which the process learns that this one has ended
        self.finalizer = util.Finalize(self, util.close_fds, (ours, self.sentinel))
        with open(write, "wb", closefd=True) as file:
            file.write(data.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


class WarmProcess(BaseProcess):
    """A process of a server."""

    _start_method = "forkserver"
    imports = RUNS
    knows_main = True
    """Whether functions of the program itself may be called in it."""

    @staticmethod
    def _Popen(process_obj: WarmProcess) -> WarmPopen:  # noqa: N802 - its name
        return WarmPopen(process_obj)


class WarmContext(ForkServerContext):
    """Stands in for the context that spawns."""

    def __init__(self, imports: str) -> None:
        super().__init__()
        self._imports = imports

    def Process(  # type: ignore[override] # noqa: N802 - its name
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> WarmProcess:
        """See `multiprocessing.Process`."""
        given = (Surroundings(), self._imports, target, tuple(args), dict(kwargs or {}))
        process = WarmProcess(target=begin, args=given, name=name, daemon=daemon)
        process.imports = self._imports
        return process


def begin(
    here: Surroundings,
    imports: str,
    target: Callable[..., object],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Go on in the surroundings of who started this process; the target of each."""
    here.enter()
    if imports == PROGRAMS:
        from support.programs import install

        install(setattr)
    target(*args, **kwargs)


_real_context = multiprocessing.get_context


def get_context(method: str | None = None) -> Any:
    """Stands in for `multiprocessing.get_context`."""
    return WarmContext(PROGRAMS) if method == "spawn" else _real_context(method)
