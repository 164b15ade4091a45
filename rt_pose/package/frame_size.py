"""Whether frames have a size at which a package's network can find the animal."""

from __future__ import annotations

from rt_pose.errors import UserError
from rt_pose.package.read import Package

FAR_SIZE = 1.5
"""Frames that are so much larger or smaller than those trained on are told."""


def check_frame_size(package: Package, width: int, height: int, whose: str) -> None:
    """Check that frames have the size that an imported network was made for.

    Parameters
    ----------
    package
        A package; one whose network takes any size passes.
    width, height
        Size of the frames, px.
    whose
        What gives the frames, for the message.

    Raises
    ------
    UserError
        Where the size is another.
    """
    wanted = package.manifest.input.frame
    if wanted is not None and tuple(wanted) != (width, height):
        raise UserError(
            f"model package {package.path}: its network was imported for frames of {wanted[0]}x{wanted[1]}, "
            f"{whose} gives {width}x{height}, where the animal would appear at another scale; import it "
            "again with `--frames` of that size"
        )


def trained_sizes(package: Package) -> list[tuple[int, int]]:
    """List the sizes of the frames that a package was trained on.

    The package says them as `training.frame_sizes`; an older one shows one of them in its golden frames.

    Parameters
    ----------
    package
        The package.

    Returns
    -------
    list[tuple[int, int]]
        Width and height, px; at least one.
    """
    _, height, width, _ = package.golden.frames.shape
    sizes = [(int(w), int(h)) for w, h in package.manifest.training.get("frame_sizes", [])]
    return sizes or [(width, height)]


def unlike_trained(package: Package, width: int, height: int, whose: str) -> str | None:
    """Compare the size of frames with those that a package was trained on.

    The package says them as `training.frame_sizes`; an older one shows one of them in its golden frames.

    Parameters
    ----------
    package
        The package.
    width, height
        Size of the frames, px.
    whose
        What gives the frames, for the message.

    Returns
    -------
    str | None
        A warning where the nearest of them is `FAR_SIZE` times as large or small, otherwise None.
    """
    sizes = trained_sizes(package)
    factors = [max(width / w, w / width, height / h, h / height) for w, h in sizes]
    if min(factors) < FAR_SIZE:
        return None
    listed = ", ".join(f"{w}x{h}" for w, h in sizes[:3])
    return (
        f"{whose} gives frames of {width}x{height}, the package was trained on {listed}: where the labeled "
        "images were cut out of larger frames the network sees the animal at another scale and finds it "
        "badly; then cut these alike, or label frames of this size"
    )
