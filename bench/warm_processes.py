"""Processes that begin in milliseconds: each is forked from one that has imported what it needs.

The program itself spawns the processes of a run (`rt_pose.session.processes`), which costs each two or three
seconds of a processor; one that trains takes ten. What they do from their first line on is the same, in the
surroundings of who starts them: environment, folder, signals held back, open streams.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, popen_forkserver, reduction, resource_tracker, spawn, util
from multiprocessing.context import ForkServerContext, set_spawning_popen
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar

KNOWN_AS = "RT_POSE_WARM_SERVER_"
"""Begin of the environment variables that say where the servers are."""
FIXED = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""What OpenMP reads when torch is imported. A pool of threads would not survive a fork."""
Prepare = Callable[[], object]


class Server(forkserver.ForkServer):
    """The process that forks. Who has the environment of the one that started it uses the same."""

    _forkserver_address: str | None
    _forkserver_alive_fd: int | None

    def __init__(self, imports: str) -> None:
        """Start nothing yet.

        Parameters
        ----------
        imports
            The module that is imported before anything is forked.
        """
        super().__init__()
        self.set_forkserver_preload([imports])
        self.known_as = KNOWN_AS + imports.replace(".", "_").upper()
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
            before, environment = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), dict(os.environ)
            try:  # held back until a process is in its surroundings
                path = [*sys.path, os.environ.get("PYTHONPATH")]
                os.environ.update(FIXED | {"PYTHONPATH": os.pathsep.join(filter(None, path))})
                super().ensure_running()
            finally:
                os.environ.clear()
                os.environ.update(environment)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            assert self._forkserver_address is not None
            os.environ[self.known_as] = self._forkserver_address


_servers: dict[str, Server] = {}


def server(imports: str) -> Server:
    """Get the server that imports a module; processes that are begun from now on know it too.

    Parameters
    ----------
    imports
        The module.

    Returns
    -------
    Server
        One and the same for each module.
    """
    return _servers.setdefault(imports, Server(imports))


def _addresses() -> dict[str, str]:
    """The environment variables of the servers that are known here."""
    return {s.known_as: s.address for s in list(_servers.values()) if s.address is not None}


class Surroundings:
    """Those of who starts a process, as they are when it does; `enter` is for the process."""

    def __init__(
        self,
        streams: Mapping[int, int] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        """Take what is given for what is there.

        Parameters
        ----------
        streams
            Open files, by the number that they have in the process; None: standard output and error.
        environment
            Variables; None: those of who starts it.
        folder
            Where it works; None: where who starts it does.
        """
        self._streams = {1: 1, 2: 2} if streams is None else dict(streams)
        self._environment, self._folder = environment, folder

    def __getstate__(self) -> dict[str, Any]:
        given = os.environ if self._environment is None else self._environment
        return {
            "_streams": {number: reduction.DupFd(fd) for number, fd in self._streams.items()},
            "_environment": {**given, **_addresses()},
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

    _fds: list[int]

    def _launch(self, process_obj: WarmProcess) -> None:
        own = server(process_obj.imports)
        for known in list(_servers.values()):  # the process may begin some of another kind
            known.ensure_running()
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
        self.sentinel, write = own.connect_to_new_process(self._fds)
        ours = os.dup(write)  # by which the process learns that this one has ended
        close = util.close_fds  # type: ignore[attr-defined]
        self.finalizer = util.Finalize(self, close, (ours, self.sentinel))
        with open(write, "wb", closefd=True) as file:
            file.write(data.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


class WarmProcess(BaseProcess):
    """A process of a server."""

    _start_method = "forkserver"
    imports = ""
    """The module that its server has imported."""
    knows_main = True
    """Whether functions of the program itself may be called in it."""

    @staticmethod
    def _Popen(process_obj: WarmProcess) -> WarmPopen:  # noqa: N802 - its name
        return WarmPopen(process_obj)


class WarmContext(ForkServerContext):
    """Stands in for the context that spawns."""

    kind: ClassVar[type[WarmProcess]] = WarmProcess

    def __init__(self, imports: str, prepare: Prepare | None = None) -> None:
        """Begin nothing yet.

        Parameters
        ----------
        imports
            The module that is imported beforehand.
        prepare
            Called first in each process; it is sent there. None for nothing.
        """
        super().__init__()
        self._imports, self._prepare = imports, prepare

    def Process(  # type: ignore[override] # noqa: N802 - its name
        self,
        group: None = None,  # noqa: ARG002
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> WarmProcess:
        """See `multiprocessing.Process`."""
        given = (Surroundings(), self._prepare, target, tuple(args), dict(kwargs or {}))
        process = self.kind(target=_begin, args=given, name=name, daemon=daemon)
        process.imports = self._imports
        return process


def _begin(
    here: Surroundings,
    prepare: Prepare | None,
    target: Callable[..., object],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Go on in the surroundings of who started this process; the target of each."""
    here.enter()
    if prepare is not None:
        prepare()
    target(*args, **kwargs)
