"""Networks for further precisions, made from a package and added to it: `rt-pose train quantise`."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.extras import require
from rt_pose.inference.engine import engines
from rt_pose.inference.estimator import Estimator
from rt_pose.package import (
    NETWORK,
    PRECISION_NETWORKS,
    InputSpec,
    Package,
    PrecisionReport,
    extend_package,
    read_package,
)
from train.quantisation.config import QuantiseConfig
from train.quantisation.frames import CalibrationFrames, collect_frames
from train.quantisation.int8 import FLOAT_CONVOLUTIONS, write_int8
from train.quantisation.mixed import (
    FLOAT32_CONVOLUTIONS,
    convolutions,
    first_layers,
    fold_constants,
    write_first_in_float32,
)
from train.quantisation.precisions import (
    BACKEND,
    PrecisionReference,
    estimator,
    format_precision,
    measure,
    precisions_of,
)

_LOG = logging.getLogger(__name__)


def quantise(config: QuantiseConfig) -> Package:
    """Make networks of lower precision, measure every precision with them, and add all of it to the package.

    Until everything is made and measured the package stays as it was.

    Parameters
    ----------
    config
        Package, precisions, and what to calibrate and measure on.

    Returns
    -------
    Package
        The extended package.

    Raises
    ------
    UserError
        Before anything is made, where the package, the labels, a recording or NNCF is missing, or where this
        processor lacks a precision.
    """
    package = read_package(_given(config.model, "model"))
    _check(config.precisions, package.manifest.input)
    reference = collect_frames(package, config)
    with tempfile.TemporaryDirectory(prefix="quantise-", dir=package.path.absolute().parent) as scratch:
        work = Path(scratch)
        for name in package.manifest.files:
            shutil.copyfile(package.path / name, work / name)
        float32 = _network(package, work, "float32")
        inputs = [float32.preprocess(image).copy() for image in reference.calibrate]
        made = {name: _make(name, work, package.manifest.input, inputs) for name in config.precisions}
        files = [PRECISION_NETWORKS[name] for name in made]
        files += [Path(name).with_suffix(".bin").name for name in files]
        return extend_package(
            package.path,
            {name: _copier(work / name) for name in files},
            _reports(package, work, made, _reference(package, float32, reference)),
            {"quantised": package.manifest.training.get("quantised", {}) | made},
        )


def _check(precisions: Sequence[str], spec: InputSpec) -> None:
    if not precisions:
        raise UserError(f"precisions: none given; there are {', '.join(PRECISION_NETWORKS)}")
    if "int8" in precisions and spec.context is not None:  # wherever it would run
        raise UserError(
            "precisions: int8 is not made for a network that sees past frames (network.context): its "
            "past would have to be quantised too; 'mixed' and bf16 are there"
        )
    here = engines()[BACKEND].precisions()
    for precision in precisions:
        if precision not in PRECISION_NETWORKS:
            raise UserError(
                f"precisions: there is no '{precision}' to add{nearest(precision, PRECISION_NETWORKS)}"
            )
        if precision not in here:
            raise UserError(
                f"precisions: this processor has no '{precision}', so its cost cannot be measured here; it "
                f"has {', '.join(here)}"
            )
    if "int8" in precisions:
        require("int8", "the precision int8")


def _make(
    precision: str, work: Path, spec: InputSpec, inputs: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Write the network of a precision into `work`; how it was made, for the manifest."""
    model = fold_constants(work / NETWORK, spec)
    total = len(convolutions(model))
    kept = min(FLOAT_CONVOLUTIONS if precision == "int8" else FLOAT32_CONVOLUTIONS, total)
    path = work / PRECISION_NETWORKS[precision]
    if precision == "int8":
        _LOG.info(f"int8: calibrating on {len(inputs)} frames")
        norms = write_int8(model, inputs, first_layers(model, kept), path)
    else:
        norms = 0
        write_first_in_float32(work / NETWORK, spec, path, kept)
    _LOG.info(
        f"{precision}: {kept} of {total} convolutions, from the input on, stay in float32"
        + f", and {norms} group norms" * bool(norms)
    )
    return {
        "convolutions_in_float32": kept,
        "convolutions": total,
        "group_norms_in_float32": norms,
        "calibration_frames": len(inputs),
    }


def _reference(package: Package, float32: Estimator, reference: CalibrationFrames) -> PrecisionReference:
    """Return the frames to measure on; without labels the golden frames take their place."""
    images = list(package.golden.frames) if reference.labeled is None else reference.labeled.images
    return PrecisionReference(
        images,
        None if reference.labeled is None else reference.labeled.xy,
        float32.estimate_all(images),
        reference.recorded,
        float32.estimate_all(reference.recorded) if reference.recorded else None,
    )


def _reports(
    package: Package, work: Path, made: Collection[str], reference: PrecisionReference
) -> dict[str, PrecisionReport]:
    """Report every precision; without labels only those just made, so that no known error is lost."""
    if reference.xy is None:
        _LOG.info("no labels to measure errors with: how far keypoints move from float32 is measured alone")
    reports = {}
    for precision in made if reference.xy is None else precisions_of(work):
        reports[precision] = measure(_network(package, work, precision), reference)
        _LOG.info(format_precision(precision, reports[precision]))
    return reports


def _network(package: Package, work: Path, precision: str) -> Estimator:
    manifest = package.manifest
    return estimator(work, manifest.input, manifest.decode, precision, manifest.individuals)


def _copier(source: Path) -> Callable[[Path], object]:
    return lambda target: shutil.copyfile(source, target)


def _given(value: str, key: str) -> str:
    if not value:
        raise UserError(f"{key}: no folder given; say `--{key} FOLDER`")
    return value
