"""The options of `rt-pose train quantise`; apart from the work, so that help costs no heavy import."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class QuantiseConfig:
    """Which networks are added to which package, and what they are calibrated and measured on."""

    model: str = ""
    """Folder of the model package that is added to."""
    data: str = ""
    """Folder that it was trained on: calibrates on its training frames, measures on those kept back. Of an
    imported network a CSV of labeled frames, which only measures. It may be left out where there are
    `frames`, and the error then is not known."""
    frames: list[str] = field(default_factory=list)
    """Recordings like those it will be used on, or folders of images: half of their frames calibrate, the
    others measure. Needed by an imported network, and where `data` is left out."""
    precisions: list[str] = field(default_factory=lambda: ["mixed", "int8"])
    """Which to add: mixed (bf16, the first layers in float32), int8, or both."""
