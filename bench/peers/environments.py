"""The peers' own Python environments, with the versions that are compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rt_pose.errors import UserError

ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    # torch goes first, so that what follows finds it; torchvision comes without what it would bring along.
    "dlc": (
        "torch==2.13.0 numpy<2",
        "torchvision==0.28.0 --no-deps",
        "deeplabcut-live[pytorch]==1.1.0 numpy<2",
    ),
    "sleap": (
        "torch==2.13.0",
        "torchvision==0.28.0 --no-deps",
        "sleap-nn==0.3.5 onnxruntime onnx onnxscript",
    ),
    "litpose": (
        "torch==2.13.0",
        "torchvision==0.28.0 --no-deps",
        "numpy==2.2.6 aniposelib==0.8.0 h5py==3.16.0 hydra-core==1.3.8 imaug==0.4.3 jaxtyping==0.3.11",
        "kornia==0.9.0 lightning==2.5.6 pytorch-lightning==2.5.6 matplotlib moviepy==2.2.1",
        "opencv-python-headless==4.12.0.88 pandas==3.1.1 safetensors scikit-learn==1.9.1 tensorboard==2.21.0",
        "transformers==5.24.0 typeguard nvidia-dali-cuda120==2.4.0 torch==2.13.0",
        "lightning-pose==2.4.3 --no-deps",
    ),
    "motmetrics": ("motmetrics==1.4.0 numpy==1.26.4 pandas==2.2.3",),
}
"""By peer: what each call of pip installs."""


def make_environments(folder: Path, names: Sequence[str] = tuple(ENVIRONMENTS)) -> dict[str, Path]:
    """Make environments of peers; one that is there is left as it is.

    Parameters
    ----------
    folder
        Where they go, a folder each.
    names
        Which of `ENVIRONMENTS`.

    Returns
    -------
    dict[str, Path]
        The Python of each.

    Raises
    ------
    UserError
        Where an installation fails.
    """
    return {name: _make(folder / name, ENVIRONMENTS[name]) for name in names}


def python_of(place: Path) -> Path:
    """Name the Python of an environment.

    Parameters
    ----------
    place
        Its folder.

    Returns
    -------
    Path
        May not exist.
    """
    return place / "bin" / "python"


def _make(place: Path, steps: Sequence[str]) -> Path:
    whole = place / "whole"
    if whole.is_file():
        return python_of(place)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    for step in steps:
        command = [str(place / "bin" / "pip"), "install", "--quiet", *step.split()]
        if subprocess.run(command, check=False).returncode:
            raise UserError(f"{place}: `pip install {step}` failed; see above")
    whole.touch()
    return python_of(place)
