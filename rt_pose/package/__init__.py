"""The model package: the one contract between training and the live half.

A folder: `manifest.json`, `network.onnx` (weights inside), optionally `network.pt2` and networks for further
precisions, and `golden.npz` (raw uint8 frames with the keypoints that the float32 network gave for them). No
pickle anywhere. Reading checks every hash; the engine must reproduce the golden keypoints before the first
frame.
"""

from rt_pose.package.animals import UNMATCHED, match_rows, mean_gaps, ordered_like, take_rows
from rt_pose.package.frame_size import FAR_SIZE, check_frame_size, trained_sizes, unlike_trained
from rt_pose.package.golden import (
    GOLDEN_CONFIDENCE,
    GOLDEN_FACTOR,
    GOLDEN_TOLERANCE_PX,
    golden_check,
)
from rt_pose.package.manifest import (
    MANIFEST,
    SCHEMA,
    SCHEMA_CONTEXT,
    SCHEMA_SEVERAL,
    STANDS_IN,
    ContextSpec,
    Decoder,
    DecodeSpec,
    DriftLimits,
    DriftSpec,
    InputSpec,
    Manifest,
    PrecisionReport,
    Subspace,
    TrackingSpec,
    manifest_sha256,
    precision_report,
    read_manifest,
)
from rt_pose.package.manifest_check import MOST_INDIVIDUALS
from rt_pose.package.read import (
    GOLDEN,
    NETWORK,
    PRECISION_NETWORKS,
    Golden,
    Package,
    file_sha256,
    read_package,
)
from rt_pose.package.write import extend_package, write_manifest, write_package

__all__ = [
    "FAR_SIZE",
    "GOLDEN",
    "GOLDEN_CONFIDENCE",
    "GOLDEN_FACTOR",
    "GOLDEN_TOLERANCE_PX",
    "MANIFEST",
    "MOST_INDIVIDUALS",
    "NETWORK",
    "PRECISION_NETWORKS",
    "SCHEMA",
    "SCHEMA_CONTEXT",
    "SCHEMA_SEVERAL",
    "STANDS_IN",
    "UNMATCHED",
    "ContextSpec",
    "DecodeSpec",
    "Decoder",
    "DriftLimits",
    "DriftSpec",
    "Golden",
    "InputSpec",
    "Manifest",
    "Package",
    "PrecisionReport",
    "Subspace",
    "TrackingSpec",
    "check_frame_size",
    "extend_package",
    "file_sha256",
    "golden_check",
    "manifest_sha256",
    "match_rows",
    "mean_gaps",
    "ordered_like",
    "precision_report",
    "read_manifest",
    "read_package",
    "take_rows",
    "trained_sizes",
    "unlike_trained",
    "write_manifest",
    "write_package",
]
