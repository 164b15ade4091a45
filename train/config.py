"""The typed configuration of training. Nothing heavy is imported here: `--help` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rt_pose.config.schema import Device


@dataclass
class NetworkConfig:
    """The network and what it is shown."""

    backbone: str = "lite0"
    """lite0, lite1, lite2 (EfficientNet-Lite from ImageNet weights), tiny (simple scenes), resnet18,
    resnet50, resnet50_gn (with group norm, as DeepLabCut 3 has it), mobilenetv4 (MobileNetV4-Conv-Small),
    vit_tiny or vit_small."""
    width: int = 256
    """Width of the network's input, px; frames are resized to it without keeping their aspect."""
    height: int = 256
    """Height of the network's input, px."""
    channels: Literal["auto", "gray", "rgb"] = "auto"
    """auto: gray where every labeled image is gray, otherwise rgb."""
    head_width: int = 32
    """Channels of the head at its finest map."""
    weights: str = ""
    """File with the backbone's weights (.pt, .pth or .safetensors, under the names of torchvision's ResNets
    and of timm's MobileNetV4 and ViT; a checkpoint of `rt-pose train fit` works too, and a snapshot of
    DeepLabCut 3 or SuperAnimal whose backbone is a ResNet). Empty: the ImageNet weights of lite0 to lite2,
    random weights for all others."""
    context: int = 0
    """Experimental, no gain has been measured yet: past frames whose features the present frame is given
    (never later ones); 0 = none. Live it costs one frame's forward all the same. Unlabeled clips teach it
    what a past is worth."""


@dataclass
class AugmentConfig:
    """Random changes of the training frames, drawn for every frame and step. 0 everywhere = none."""

    rotate_deg: float = 15.0
    """Rotation, uniform in +- this (degrees)."""
    scale: float = 0.15
    """Zoom, log-uniform between 1 / (1 + this) and 1 + this."""
    shift: float = 0.06
    """Shift, uniform in +- this share of the frame's sides."""
    brightness: float = 0.2
    """Factor on the grey levels, uniform in 1 +- this."""
    contrast: float = 0.2
    """Factor on the distance from middle gray, uniform in 1 +- this."""
    noise: float = 6.0
    """Standard deviation of the pixel noise, uniform between 0 and this (grey levels 0..255)."""
    shot_noise: float = 0.0
    """Noise that grows with the light: grey levels a photoelectron is worth, uniform between 0 and this. Its
    variance is the grey level times that."""
    blur: float = 0.0
    """Gaussian blur: its standard deviation, uniform between 0 and this (px of the frame)."""
    erase: float = 0.0
    """A rectangle of one grey level laid over the frame: its sides, uniform between 0 and this share of the
    frame's. Labels under it stay."""
    flip: float = 0.0
    """Share of the labeled frames that are mirrored left to right, 0 to 1, with the labels of keypoints whose
    names say their side (ear_left and ear_right, paw_L and paw_R) exchanged. Unlabeled clips are not
    mirrored. Not for images that hold several views."""


@dataclass
class LossConfig:
    """One term of the training loss."""

    weight: float | None = None
    """Factor of this loss in the sum; null = the loss's own, stated in train/losses."""
    eps: float | None = None
    """Tolerance, frame px; null = derived from the labels and videos, and printed."""
    min_confidence: float | None = None
    """Keypoints of an unlabeled frame under this confidence have no share in the loss (default 0.05)."""
    start: float | None = None
    """Share of all steps before which the loss is off: the network must find something first (0.3)."""
    ramp: float | None = None
    """Share of all steps over which it then rises, linearly, to its whole weight (0.2)."""
    keypoints: list[str] | None = None
    """pose_pca: the keypoints whose poses are to be plausible; null = all."""
    variance: float | None = None
    """pose_pca: share of the labeled poses' variance that the kept components explain (0.99)."""
    frames: int | None = None
    """noise_consistency: so many frames of a clip, evenly spread, are seen twice; null = a quarter."""
    calibration: str | None = None
    """reprojection: file of the cameras' calibration, as `rt-pose rig calibrate-cameras` and anipose write
    it; the path is relative to the data folder."""
    cameras: list[str] | dict[str, str] | None = None
    """reprojection: the cameras, by the names with which the paths of their videos and images name them,
    `[back, side]`; or with the names that they have in the calibration, `{back: cam_0, side: cam_1}`; null =
    all of the calibration."""


@dataclass
class OptimiserConfig:
    """Adam and its schedule."""

    learning_rate: float = 2e-3
    """Of the head, and of the context's part."""
    backbone_factor: float = 0.1
    """The backbone learns at this factor of the head's rate. Use 1 for a backbone without weights."""
    freeze_backbone_steps: int = 100
    """So many steps the backbone stands still, its batch-norm statistics included. (With losses on clips the
    statistics of the whole network stand still from the first clip on.)"""
    warmup_steps: int = 50
    """The rate rises linearly over so many steps, for the backbone from its release on."""
    milestones: list[float] = field(default_factory=lambda: [0.6, 0.8, 0.92])
    """Shares of all steps at which the rates fall."""
    gamma: float = 0.4
    """Factor by which they fall."""


@dataclass
class TrainConfig:
    """One training: from labeled frames to a model package."""

    data: str | list[str] = ""
    """Folder of the labels and the images they name: in Lightning Pose layout, a DeepLabCut project, one with
    a SLEAP file or an .h5, or one with a subfolder of these for each camera. Several (`--data A B C`): one
    training on all of them, keypoints matched by name, each folder split by itself; `videos` are relative to
    the first."""
    labels: str = ""
    """In the data folder: a labels CSV (Lightning Pose, DeepLabCut), an .h5 (DeepLabCut, SLEAP's analysis), a
    DeepLabCut project's folder (`.` where the data folder is one) or a SLEAP file (.slp). Empty: what the
    folder holds."""
    keypoints: list[str] = field(default_factory=list)
    """Keypoints to take, in this order: `--keypoints nose tail`; or those to leave out, such as one that a
    camera never sees, each with a `-` before it: `--keypoints -tail`. Empty = all that the labels hold."""
    skeleton: list[list[str]] = field(default_factory=list)
    """Bones, as pairs of keypoint names; empty = those that the labels hold, if any."""
    views: list[list[str]] = field(default_factory=list)
    """Body parts seen in several views (cameras, or mirrors in one image): a list of their keypoints each, in
    the same order of views: [[paw_top, paw_bottom], [nose_top, nose_bottom]]."""
    blank: Literal["unknown", "absent"] = "unknown"
    """What a blank label means. unknown: nobody labeled it, nothing is learned from it. absent: it cannot be
    seen in that image, and the network learns to give it a low confidence."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network and what it is shown."""
    init_from: str = ""
    """Warm start (also `--warm_start`): the folder of an earlier training, or one of its checkpoints, whose
    whole network this one starts from, `network.weights` or not; of the same keypoints and network (of
    another network, `network.weights` takes the backbone). Empty: the head starts from random weights."""
    losses: dict[str, LossConfig] = field(default_factory=lambda: {"heatmap_kl": LossConfig()})
    """The terms of the loss by name. Where frames hold several animals, `centre_offsets` is added."""
    videos: list[str] = field(default_factory=list)
    """Unlabeled videos, or folders of them, for the losses that work on videos and for `train distill`. Paths
    are relative to the data folder."""
    clip_length: int = 16
    """Frames of the one unlabeled clip that a step sees; with `reprojection`, of each camera's."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """Adam and its schedule."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Random changes of the training frames."""
    steps: int = 1500
    """Optimiser steps; a multiple of `validate_every`."""
    batch_size: int = 8
    """Frames a step."""
    validate_every: int = 100
    """Steps between validations; the best of them is the checkpoint that is exported."""
    patience: int = 0
    """Validations without a better one after which the training ends early; 0 = it runs to the end."""
    resume: bool = False
    """Go on from the last checkpoint in `out`, exactly as if there had been no interruption."""
    validation_fraction: float = 0.15
    """Share of frames kept back where the folder has no split.csv. 0: every label trains, those too that
    split.csv keeps back. No error is known of such a network, and its last step is exported: for the last
    training, once one with frames kept back has shown the error, and how many steps it takes. Live,
    `engine.precision: auto` then stays with float32: a faster precision must be asked for."""
    seed: int = 0
    """Of the head's first weights, the order of frames and the augmentation; and of the split, unless
    `split_seed` says another."""
    split_seed: int | None = None
    """Of the split, where the folder has no split.csv: trainings that are to keep back the same frames share
    it. null = `seed`."""
    device: Device = "cpu"
    """Where the network trains. Asking for a GPU that is not there is an error."""
    devices: int = 1
    """GPUs of this machine to train on, each with its share of every batch."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """Of the network while it trains on a GPU: bf16 and fp16 by autocast. Losses, decoding and validation
    stay in float32 (never TF32)."""
    decoder: Literal["pyav", "nvdec"] = "pyav"
    """Who decodes unlabeled video: pyav (the processor), or nvdec (the GPU; clips are then
    augmented there as well)."""
    threads: int = 0
    """CPU threads; 0 = torch's own choice."""
    out: str = ""
    """Folder to write to: package/, checkpoints/, tensorboard/."""

    @property
    def keeps_back(self) -> bool:
        """Whether labeled frames are kept back to validate."""
        return self.validation_fraction > 0

    @property
    def data_folders(self) -> list[str]:
        """The data folders, as they are written; empty where none is."""
        return [self.data] if isinstance(self.data, str) and self.data else list(self.data)
