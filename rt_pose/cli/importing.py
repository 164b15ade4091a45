"""`rt-pose import ...`: models trained with other programs, as model packages."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_OK, Parser

if TYPE_CHECKING:
    from rt_pose.package import Package


def import_onnx(options: Namespace) -> int:
    """Any heatmap network as ONNX, with a YAML that describes it, as a model package."""
    from train.importing.verbs import import_onnx as make

    return _imported(make(vars(options)))


def import_onnx_parser(parser: Parser) -> None:
    """Add the options of `rt-pose import onnx`."""
    _import_parser(parser)
    parser.add_argument("--spec", type=str, required=True, help="YAML: keypoints, input, decode, outputs.")


def import_dlc(options: Namespace) -> int:
    """A DeepLabCut 3 export (PyTorch .pt, as DeepLabCut-Live reads it) as a model package."""
    from train.importing.verbs import import_dlc as make

    return _imported(make(vars(options)))


def import_sleap(options: Namespace) -> int:
    """A sleap-nn ONNX export (single instance) as a model package."""
    from train.importing.verbs import import_sleap as make

    return _imported(make(vars(options)))


def import_original_parser(parser: Parser) -> None:
    """Add the options of `rt-pose import dlc` and `import sleap`."""
    _import_parser(parser)
    parser.add_argument("--size", type=str, help="WxH to resize frames to; as they are where not given.")
    parser.add_argument("--python", type=str, help="A Python with the original program, to compare with.")


def _import_parser(parser: Parser) -> None:
    parser.add_argument("file", type=str, help="The model: a file or, for sleap, the export's folder.")
    parser.add_argument("--frames", type=str, required=True, help="Video or folder of images to try it on.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the package; replaced.")
    parser.add_argument("--labels", type=str, help="CSV of labeled frames (Lightning Pose), for errors.")


def _imported(package: Package) -> int:
    print(f"model package: {package.path}")
    return EXIT_OK
