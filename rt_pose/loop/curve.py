"""CURVE on the sockets of a run: encrypted, and only for those who hold a client key that the run admits.

A client knows the server's public key beforehand, so that a program that took the port learns nothing from
it. Keys are texts of 40 characters (Z85). Those of one run are made with it and lie in a file of the user's
(`key_files`); those for other machines are made once by `rt-pose keys` and named as `publish.keys`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

from rt_pose.errors import UserError

DOMAIN = "rt-pose"
HANDSHAKE_MS = 5000
"""A connection that has not proved itself by then is closed."""


class ClientKeys(msgspec.Struct, frozen=True):
    """What a client proves itself with, and what it knows the server by."""

    server_public: str
    client_public: str
    client_secret: str

    def secure(self, socket: zmq.Socket[bytes]) -> None:
        """Put the keys on a client's socket that is not connected yet.

        Parameters
        ----------
        socket
            The socket.
        """
        socket.curve_serverkey = self.server_public.encode()
        socket.curve_publickey = self.client_public.encode()
        socket.curve_secretkey = self.client_secret.encode()


class ServerKeys(msgspec.Struct, frozen=True):
    """What a server proves itself with, and the client that it admits."""

    server_public: str
    server_secret: str
    client_public: str


K = TypeVar("K", ClientKeys, ServerKeys)


def read_keys(path: Path, kind: type[K], what: str) -> K:
    """Read a file of keys.

    Parameters
    ----------
    path
        The file, JSON.
    kind
        Whose keys are wanted.
    what
        Who wants them, the beginning of messages.

    Returns
    -------
    ClientKeys or ServerKeys
        The keys; what else the file holds is left out.

    Raises
    ------
    UserError
        Where the file is not there, may not be read, or holds no such keys.
    """
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=kind)
        for text in msgspec.structs.astuple(keys):
            if len(z85.decode(text.encode())) != 32:
                raise ValueError("a key is not of 40 characters")
    except FileNotFoundError:
        raise UserError(f"{what}: the key file {path} is not there") from None
    except OSError as error:
        raise UserError(f"{what}: the key file {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, ArithmeticError) as error:
        whose = "client" if kind is ClientKeys else "server"
        raise UserError(f"{what}: {path} is no key file for a {whose} ({error})") from error
    return keys


def make_permanent_keys(path: Path) -> tuple[Path, Path]:
    """Make a server's keys and a client's for runs that other machines reach.

    Parameters
    ----------
    path
        The server's file; the client's stands beside it, `NAME.client.json`.

    Returns
    -------
    tuple[Path, Path]
        Both files, readable by this user alone.

    Raises
    ------
    UserError
        Where one of them exists already or cannot be written; then neither is left behind.
    """
    (server_public, server_secret), (client_public, client_secret) = (_pair() for _ in range(2))
    ours = ServerKeys(server_public, server_secret, client_public)
    theirs = ClientKeys(server_public, client_public, client_secret)
    files = (path, path.with_name(path.name.removesuffix(".json") + ".client.json"))
    made: list[Path] = []
    try:
        for file, keys in zip(files, (ours, theirs), strict=True):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            made.append(file)
            with open(descriptor, "wb") as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
    except OSError as error:
        for whole in made:
            whole.unlink(missing_ok=True)
        raise UserError(f"keys: {file} cannot be written: {error.strerror}; give another --out") from error
    return files


def _pair() -> tuple[str, str]:
    """A public key and its secret one."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


class CurveServer:
    """Makes sockets that admit the clients of one run. Its context is its own, as a context has one gate."""

    def __init__(self, permanent: ServerKeys | None = None) -> None:
        """Make the keys of a run, and start the thread that answers who is admitted.

        Parameters
        ----------
        permanent
            Keys of `rt-pose keys`; None for a server key of this run alone.

        Raises
        ------
        UserError
            Where this pyzmq has no CURVE.
        """
        if not zmq.has("curve"):
            raise UserError(
                "the control socket needs a pyzmq with CURVE; `pip install --force-reinstall pyzmq`"
            )
        self.permanent = permanent is not None
        """Whether other machines can have keys to it."""
        public, secret = _pair() if permanent is None else (permanent.server_public, permanent.server_secret)
        self._secret = secret.encode()
        self.client = ClientKeys(public, *_pair())
        """The keys of this run's own clients."""
        admitted = [self.client.client_public, *([permanent.client_public] if permanent else [])]
        self._admitted = frozenset(key.encode() for key in admitted)
        self.context: zmq.Context[Any] = zmq.Context()
        self._authenticator = ThreadAuthenticator(self.context)
        self._authenticator.configure_curve_callback(DOMAIN, self)
        self._authenticator.start()

    def callback(self, domain: str, key: bytes) -> bool:  # noqa: ARG002
        """Tell the authenticator whether a client is admitted.

        Parameters
        ----------
        domain
            Always `DOMAIN`.
        key
            The client's public key.

        Returns
        -------
        bool
            Whether it is.
        """
        return key in self._admitted

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        """Make a socket that admits clients by their keys.

        Parameters
        ----------
        kind
            Its type, such as `zmq.ROUTER`.

        Returns
        -------
        zmq.Socket[bytes]
            The socket, not bound yet.
        """
        socket: zmq.Socket[bytes] = self.context.socket(kind)
        socket.curve_server = True
        socket.curve_secretkey = self._secret
        socket.zap_domain = DOMAIN.encode()
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an answer of ours nobody is admitted
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        return socket

    def close(self) -> None:
        """End the thread, and close what sockets are left. May be called twice."""
        self._authenticator.stop()
        self.context.destroy()
