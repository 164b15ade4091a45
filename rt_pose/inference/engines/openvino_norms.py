"""Group norms as OpenVINO's CPU plug-in runs them fast: one scale and one shift a channel.

A group norm (Wu & He 2018) comes from ONNX as a reshape, a normalisation over the group's pixels and a
reshape back; for the two reshapes the plug-in turns every map into another memory order and back. Here the
map stays as the convolutions want it:

    mean and mean square of channels -> of groups -> scale and shift of channels -> x scale + shift

Only the two reductions and the last step touch the map; all between is as small as the channels are. In
float32 it is the same norm to about 1e-6, as long as no group's mean is hundreds of times its deviation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

PIXELS = (2, 3)
APART = 1e30
"""What no map ever reaches: see `rewrite_group_norms`."""


class _Site(NamedTuple):
    """A group norm in a graph."""

    x: Any
    """What is normalised: an output of a node, (B, C, h, w)."""
    groups: int
    epsilon: float
    scale: Any
    """A node that broadcasts to (B, groups, C / groups); None: 1."""
    shift: Any
    old: Any
    """The node whose output gives way."""


def rewrite_group_norms(model: Any, to_quantise: bool = False) -> int:
    """Replace the group norms of an OpenVINO model of fixed shape, in place.

    Parameters
    ----------
    model
        The `openvino.Model`, its shapes fixed.
    to_quantise
        Whether to put a limit that nothing reaches before each. The plug-in carries the scale of an int8
        convolution past whatever it can, here once for each of the three readers, a pass over the map each
        time; past that limit it cannot, and the convolution applies its scale itself.

    Returns
    -------
    int
        How many group norms there were.
    """
    if not any(op.get_type_name() in ("MVN", "GroupNormalization") for op in model.get_ops()):
        return 0
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(model, cf=True)  # so that shapes and paddings are constants
    sites = [site for op in model.get_ordered_ops() if (site := _site(op)) is not None]
    for site in sites:
        new = _normalised(_apart(site) if to_quantise else site)
        new.set_friendly_name(site.old.get_friendly_name())
        for target in site.old.output(0).get_target_inputs():
            target.replace_source_output(new.output(0))
    model.validate_nodes_and_infer_types()
    return len(sites)


def _site(op: Any) -> _Site | None:
    if op.get_type_name() == "GroupNormalization":
        return _of_operation(op)
    return _of_reshapes(op) if op.get_type_name() == "MVN" else None


def _of_operation(op: Any) -> _Site | None:
    """OpenVINO's own operation, which newer ONNX files have."""
    from openvino import opset13

    x, scale, shift = op.input_values()
    if len(x.get_shape()) != 4:
        return None
    attributes = op.get_attributes()
    groups = int(attributes["num_groups"])
    by_group = opset13.constant(np.array([1, groups, -1], np.int64))
    return _Site(
        x,
        groups,
        float(attributes["epsilon"]),
        opset13.reshape(scale, by_group, False),
        opset13.reshape(shift, by_group, False),
        op,
    )


def _of_reshapes(op: Any) -> _Site | None:
    """A normalisation between two reshapes, maybe with a scale and a shift a group: what torch exports."""
    before = op.input_value(0).get_node()
    shape = list(op.get_output_shape(0))
    attributes = op.get_attributes()
    if before.get_type_name() != "Reshape" or len(shape) != 3 or not attributes["normalize_variance"]:
        return None
    if attributes["eps_mode"] != "INSIDE_SQRT" or _axes(op) != [2]:
        return None
    x = before.input_value(0)
    wanted = list(x.get_shape())
    if len(wanted) != 4 or wanted[1] % shape[1] or [wanted[0], shape[1]] != shape[:2]:
        return None
    last, scale = _by_constant(op, "Multiply")
    last, shift = _by_constant(last, "Add")
    after = _only_reader(last)
    if after is None or after.get_type_name() != "Reshape" or list(after.get_output_shape(0)) != wanted:
        return None
    return _Site(x, shape[1], float(attributes["eps"]), scale, shift, after)


def _axes(op: Any) -> list[int]:
    axes = op.input_value(1).get_node()
    rank = len(op.get_output_shape(0))
    return [int(axis) % rank for axis in np.ravel(axes.get_data())] if _constant(axes) else []


def _by_constant(op: Any, kind: str) -> tuple[Any, Any]:
    """The `kind` that alone reads `op` and a constant, and that constant; or `op` itself and None."""
    reader = _only_reader(op)
    if reader is None or reader.get_type_name() != kind:
        return op, None
    others = [v.get_node() for v in reader.input_values() if v.get_node() != op]
    if len(others) != 1 or not _constant(others[0]):
        return op, None
    # A scale for each pixel would be no scale a group.
    return (reader, others[0]) if others[0].get_output_shape(0)[-1:] in ([], [1]) else (op, None)


def _only_reader(op: Any) -> Any:
    targets = list(op.output(0).get_target_inputs())
    return targets[0].get_node() if len(targets) == 1 else None


def _constant(op: Any) -> bool:
    return bool(op.get_type_name() == "Constant")


def _apart(site: _Site) -> _Site:
    from openvino import opset13

    return site._replace(x=opset13.clamp(site.x, -APART, APART).output(0))


def _normalised(site: _Site) -> Any:
    """The same norm of the same map."""
    from openvino import opset13

    frames, channels, height, width = list(site.x.get_shape())
    by_group = opset13.constant(np.array([frames, site.groups, channels // site.groups], np.int64))
    by_channel = opset13.constant(np.array([frames, channels, 1, 1], np.int64))
    pixels = opset13.constant(np.array(PIXELS, np.int64))
    within = opset13.constant(np.array([2], np.int64))

    def of_groups(of_channels: Any) -> Any:
        return opset13.reduce_mean(opset13.reshape(of_channels, by_group, False), within, True)  # (B, G, 1)

    mean = of_groups(opset13.reduce_mean(site.x, pixels, True))
    # The root of a sum of squares needs no squared map to be written first.
    length = opset13.reduce_l2(site.x, pixels, True)
    square = of_groups(opset13.multiply(length, opset13.multiply(length, _number(1 / (height * width)))))
    variance = opset13.relu(opset13.subtract(square, opset13.multiply(mean, mean)))
    ones = opset13.constant(np.ones((1, 1, channels // site.groups), np.float32))
    scale = opset13.divide(ones, opset13.sqrt(opset13.add(variance, _number(site.epsilon))))  # (B, G, C / G)
    if site.scale is not None:
        scale = opset13.multiply(scale, site.scale)
    shift = opset13.multiply(opset13.multiply(mean, _number(-1)), scale)
    if site.shift is not None:
        shift = opset13.add(shift, site.shift)
    # The reshapes stand where they do so that nothing above is computed again for every pixel.
    scaled = opset13.multiply(site.x, opset13.reshape(scale, by_channel, False))
    return opset13.add(scaled, opset13.reshape(shift, by_channel, False))


def _number(value: float) -> Any:
    from openvino import opset13

    return opset13.constant(np.float32(value))
