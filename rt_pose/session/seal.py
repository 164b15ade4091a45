"""`seal.json`: what a session's files were when its run ended, signed where a key is given.

The log proves itself by its chain; the seal closes it, and covers the films, their tables and `session.json`
as well. Reports, hindsight, alignment and exports lie beside these and leave the seal whole. Only a run
writes one, at its end: a session that was killed has none."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from rt_pose.errors import UnknownVersionError, UserError
from rt_pose.extras import require
from rt_pose.files import is_plain_name, write_atomic
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.read import INFO_NAME
from rt_pose.session.video_file import file_names

SEAL_NAME = "seal.json"
SEAL_VERSION = 1
BLOCK_BYTES = 1 << 20
UNREADABLE = "cannot be read back, so the session is not sealed"
"""In the reason why a session is not sealed, where it lacks what one of its files should hold."""


class SealedFile(msgspec.Struct):
    """A file as it was."""

    bytes: int
    sha256: str


class Seal(msgspec.Struct, kw_only=True):
    """The content of `seal.json`."""

    seal: int = SEAL_VERSION
    session: str
    """The session's identifier."""
    t_utc_ns: int
    """When it was sealed."""
    files: dict[str, SealedFile]
    package: str
    """Hash of the model package that ran."""
    config: str
    """Hash of the resolved configuration."""
    key: str = ""
    """Public key, raw bytes in base64; empty where none signed."""
    signature: str = ""
    """Ed25519, in base64, over the JSON of this seal without its signature."""

    def signed_bytes(self) -> bytes:
        """What the signature is over.

        Returns
        -------
        bytes
            JSON, keys sorted, without the signature.
        """
        unsigned = msgspec.structs.replace(self, signature="")
        return msgspec.json.encode(unsigned, order="sorted")


def hash_file(path: Path) -> SealedFile:
    """Hash a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    SealedFile
        Its length and SHA-256.
    """
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            length += len(block)
    return SealedFile(length, digest.hexdigest())


def hash_config(config: Any) -> str:
    """Hash a resolved configuration, whatever the order of its keys.

    Parameters
    ----------
    config
        As in `session.json`.

    Returns
    -------
    str
        SHA-256 of its JSON.
    """
    return hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest()


def sealed_names(cameras: Iterable[str]) -> list[str]:
    """List the files that a seal covers, as far as they exist.

    Parameters
    ----------
    cameras
        Names of the cameras.

    Returns
    -------
    list[str]
        Names within the session.
    """
    return [INFO_NAME, LOG_NAME, *(name for camera in cameras for name in file_names(camera))]


def write_seal(folder: Path, info: dict[str, Any], t_utc_ns: int, key_file: str) -> str:
    """Seal a session whose run has ended.

    Parameters
    ----------
    folder
        The session's folder, complete.
    info
        The content of its `session.json`.
    t_utc_ns
        Now, ns since the Unix epoch.
    key_file
        PEM file of an Ed25519 private key; empty to seal without a signature.

    Returns
    -------
    str
        Why it is not sealed; empty where it is.
    """
    try:
        files = {}
        for name in sealed_names(info["cameras"]):
            if (folder / name).is_file():
                try:
                    files[name] = hash_file(folder / name)
                except OSError as error:
                    return f"{name} {UNREADABLE}: {error.strerror}"
        seal = Seal(
            session=info["id"],
            t_utc_ns=t_utc_ns,
            files=files,
            package=info["package"]["sha256"],
            config=hash_config(info["config"]),
        )
        if key_file:
            sign(seal, key_file)
        write_atomic(folder / SEAL_NAME, msgspec.json.format(msgspec.json.encode(seal)).decode() + "\n")
    except (OSError, UserError) as error:
        return f"the session could not be sealed: {error}"
    return ""


def sign(seal: Seal, key_file: str) -> None:
    """Sign a seal.

    Parameters
    ----------
    seal
        Gets the public key and the signature.
    key_file
        PEM file of an Ed25519 private key.

    Raises
    ------
    UserError
        Where there is no such key.
    """
    key = read_private_key(key_file)
    seal.key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    seal.signature = base64.b64encode(key.sign(seal.signed_bytes())).decode()


def read_private_key(key_file: str) -> Any:
    """Read the key that signs.

    Parameters
    ----------
    key_file
        PEM file.

    Returns
    -------
    Ed25519PrivateKey
        The key.

    Raises
    ------
    UserError
        Where the extra is missing, or the file is no Ed25519 private key without a password.
    """
    require("sign", "record.sign_with")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    make = f"make one with `openssl genpkey -algorithm ed25519 -out {key_file}`"
    try:
        key = load_pem_private_key(Path(key_file).read_bytes(), None)
    except OSError as error:
        raise UserError(f"record.sign_with: {key_file} cannot be read ({error.strerror}); {make}") from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"record.sign_with: {key_file} is no private key without a password; {make}"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"record.sign_with: expected an Ed25519 key, got another kind in {key_file}; {make}")
    return key


def is_signed_by(seal: Seal) -> bool:
    """Check a seal's signature with the public key that it names.

    Parameters
    ----------
    seal
        A seal with a signature.

    Returns
    -------
    bool
        Whether it holds.

    Raises
    ------
    UserError
        Where the extra is missing.
    """
    require("sign", "a signed session")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(seal.key, validate=True))
        key.verify(base64.b64decode(seal.signature, validate=True), seal.signed_bytes())
    except (ValueError, InvalidSignature):
        return False
    return True


def read_public_key(path: Path) -> str:
    """Read the public key that a session should be signed by.

    Parameters
    ----------
    path
        PEM file, as `openssl pkey -in KEY -pubout` writes it.

    Returns
    -------
    str
        As in `Seal.key`.

    Raises
    ------
    UserError
        Where it is no Ed25519 public key.
    """
    require("sign", "--key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"--key {path}: expected an Ed25519 public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(f"--key {path}: expected an Ed25519 public key, got another kind")
    return base64.b64encode(key.public_bytes_raw()).decode()


def read_seal(folder: Path) -> Seal | None:
    """Read a session's seal.

    Parameters
    ----------
    folder
        The session's folder.

    Returns
    -------
    Seal or None
        None where it has none.

    Raises
    ------
    UserError
        Where it is damaged, or of a later version.
    """
    path = folder / SEAL_NAME
    if not path.is_file():
        return None
    try:
        seal = msgspec.json.decode(path.read_bytes(), type=Seal)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise UserError(f"session {folder}: {SEAL_NAME} is damaged: {error}") from error
    if seal.seal != SEAL_VERSION:
        raise UnknownVersionError(
            f"session {folder}: {SEAL_NAME} is of version {seal.seal}; this rt-pose reads {SEAL_VERSION}"
        )
    for name in seal.files:
        if not is_plain_name(name):
            raise UserError(f"session {folder}: {SEAL_NAME} names {name!r}, which is no file of a session")
    return seal
