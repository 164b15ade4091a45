"""Which files an ONNX file takes weights from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rt_pose.onnx_file import external_files


def tensor(name: str, location: str | None = None) -> Any:
    """A tensor, its numbers inside or in another file."""
    made = numpy_helper.from_array(np.arange(4, dtype=np.float32), name)
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            made.external_data.add(key=key, value=value)
    return made


def graph(name: str, nodes: list[Any] = [], **content: Any) -> Any:  # noqa: B006
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    return helper.make_graph(nodes, name, [], [out], **content)


def in_initializer(weight: Any) -> Any:
    return helper.make_model(graph("g", initializer=[weight]))


def in_attribute(weight: Any) -> Any:
    return helper.make_model(graph("g", [helper.make_node("Constant", [], ["y"], value=weight)]))


def in_branch(weight: Any) -> Any:
    inner = graph("inner", [helper.make_node("Constant", [], ["y"], value=weight)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=graph("empty"))
    return helper.make_model(graph("g", [node]))


def in_sparse(weight: Any) -> Any:
    indices = numpy_helper.from_array(np.arange(4), "i")
    sparse = helper.make_sparse_tensor(weight, indices, [8])
    return helper.make_model(graph("g", sparse_initializer=[sparse]))


def in_function(weight: Any) -> Any:
    made = helper.make_model(graph("g"))
    node = helper.make_node("Constant", [], ["y"], value=weight)
    made.functions.append(helper.make_function("d", "f", [], ["y"], [node], [helper.make_opsetid("", 18)]))
    return made


PLACES = [in_initializer, in_attribute, in_branch, in_sparse, in_function]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_of_a_tensor_is_seen(place: Callable[[Any], Any]) -> None:
    assert external_files(place(tensor("w")).SerializeToString()) == set()
    for name in ("weights.bin", "../../etc/x", "/etc/x", "\u00fc"):
        assert external_files(place(tensor("w", name)).SerializeToString()) == {name}


def test_a_tensor_outside_without_a_file_is_seen() -> None:
    weight = tensor("w", "a")
    del weight.external_data[:]
    assert external_files(in_initializer(weight).SerializeToString()) == {""}


def test_what_is_no_protobuf_is_refused() -> None:
    whole = in_initializer(tensor("w")).SerializeToString()
    for data in (b"\x0b", b"\xff" * 20, whole[:-3], b"not onnx at all"):
        with pytest.raises(ValueError, match=r"field|number"):
            external_files(data)


def test_a_file_as_onnx_writes_it(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.zeros(4096, np.float32), "w")
    onnx.save(in_initializer(weight), str(tmp_path / "a.onnx"), save_as_external_data=True, location="a.data")
    assert external_files((tmp_path / "a.onnx").read_bytes()) == {"a.data"}
