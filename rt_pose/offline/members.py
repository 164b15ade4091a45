"""The networks of an ensemble: packages, given one by one or by the folder in which they were trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.package import MANIFEST, Package, read_package

PACKAGE = "package"
TRAINED = "seed-*"


@dataclass(frozen=True)
class EnsembleMember:
    """A network by a name of its own."""

    name: str
    package: Package


def find_members(given: Sequence[str | Path], option: str) -> list[EnsembleMember]:
    """Read the packages of an ensemble.

    Parameters
    ----------
    given
        In order: a package itself, the OUT of a training, or the folder that `rt-pose train fit --seeds`
        filled.
    option
        Where they were given, for messages.

    Returns
    -------
    list[EnsembleMember]
        The networks, each with a name of its own.

    Raises
    ------
    UserError
        Where one is missing or damaged, comes twice, or has other keypoints.
    """
    packages = [read_package(path) for place in given for path in _packages(Path(place).expanduser(), option)]
    members: list[EnsembleMember] = []
    for package in packages:
        members.append(EnsembleMember(_name(package.path, [member.name for member in members]), package))
    for i, member in enumerate(members):
        _check_alike(members[0], member, option)
        for other in members[:i]:
            if other.package.sha256 == member.package.sha256:
                raise UserError(
                    f"{option}: {other.package.path} and {member.package.path} are one network; give it once"
                )
    return members


def _packages(place: Path, option: str) -> list[Path]:
    if (place / MANIFEST).is_file() or not place.is_dir():
        return [place]
    if (place / PACKAGE / MANIFEST).is_file():
        return [place / PACKAGE]
    trained = sorted((p for p in place.glob(TRAINED) if p.is_dir()), key=_seed)
    if not trained:
        raise UserError(
            f"{option} {place}: neither a package nor the folder of an ensemble; expected {MANIFEST}, "
            f"{PACKAGE}/{MANIFEST} or {TRAINED}/{PACKAGE}/{MANIFEST} in it"
        )
    missing = [p.name for p in trained if not (p / PACKAGE / MANIFEST).is_file()]
    if missing:
        raise UserError(
            f"{option} {place}: no package of {', '.join(missing)}: its training failed or has not ended; go "
            "on with `rt-pose train fit --seeds`, or name the packages that are to count one by one"
        )
    return [p / PACKAGE for p in trained]


def _seed(folder: Path) -> tuple[int, str]:
    number = folder.name.partition("-")[2]
    return (int(number) if number.isdecimal() else 0, folder.name)


def _name(path: Path, taken: list[str]) -> str:
    """The folder of its training, or its own; numbered where another has that name."""
    path = path.resolve()
    name = path.parent.name if path.name == PACKAGE else path.name
    same = 1 + sum(other == name or other.startswith(f"{name}.") for other in taken)
    return name if same == 1 else f"{name}.{same}"


def _check_alike(first: EnsembleMember, member: EnsembleMember, option: str) -> None:
    here, there = first.package.manifest.keypoints, member.package.manifest.keypoints
    if here == there:
        return
    whose = f"{option}: an ensemble is of one skeleton, and {member.package.path}"
    if sorted(here) == sorted(there):
        raise UserError(f"{whose} has the keypoints of {first.package.path} in another order")
    apart = [name for name in there if name not in here] or [name for name in here if name not in there]
    raise UserError(
        f"{whose} has {len(there)} keypoints, not the {len(here)} of {first.package.path}: '{apart[0]}' is "
        "in one of them only"
    )
