"""`rt-pose import ...`: models trained with other programs, as model packages."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_OK, Parser, add_overwrite
from rt_pose.files import check_output_folder

if TYPE_CHECKING:
    from rt_pose.package import Package


def import_onnx(options: Namespace) -> int:
    """Any heatmap network as ONNX, with a YAML that describes it, as a model package."""
    from train.importing.verbs import import_onnx as make

    _check_out(options)
    return _imported(make(vars(options)))


def import_onnx_parser(parser: Parser) -> None:
    """Add the options of `rt-pose import onnx`."""
    from train.importing.onnx_example import EXAMPLE

    _import_parser(parser)
    parser.add_argument("--spec", type=str, required=True, help="YAML file, in the form shown below.")
    parser.epilog = "the YAML file of --spec:\n\n" + EXAMPLE


def import_dlc(options: Namespace) -> int:
    """A DeepLabCut 3 export (PyTorch .pt, as DeepLabCut-Live reads it) as a model package."""
    from train.importing.verbs import import_dlc as make

    _check_out(options)
    return _imported(make(vars(options)))


def import_sleap(options: Namespace) -> int:
    """A sleap-nn ONNX export (single instance) as a model package."""
    from train.importing.verbs import import_sleap as make

    _check_out(options)
    return _imported(make(vars(options)))


def import_original_parser(parser: Parser) -> None:
    """Add the options of `rt-pose import dlc` and `import sleap`."""
    _import_parser(parser)
    parser.add_argument("--size", type=str, help="WxH to resize frames to; as they are where not given.")
    parser.add_argument("--python", type=str, help="A Python with the original program, to compare with.")


def _import_parser(parser: Parser) -> None:
    parser.add_argument("file", type=str, help="The model: a file or, for sleap, the export's folder.")
    parser.add_argument("--frames", type=str, required=True, help="Video or folder of images to try it on.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the package.")
    parser.add_argument("--labels", type=str, help="CSV of labeled frames (Lightning Pose), for errors.")
    add_overwrite(parser)


def _check_out(options: Namespace) -> None:
    """UserError where the package would replace files of others, or what it is made of."""
    inputs = [Path(p) for p in (options.file, options.frames, options.labels, vars(options).get("spec")) if p]
    made = ("manifest.json", "network.onnx", "golden.npz")
    check_output_folder(Path(options.out), made, made[0], inputs, overwrite=options.overwrite)


def _imported(package: Package) -> int:
    print(f"model package: {package.path}")
    return EXIT_OK
