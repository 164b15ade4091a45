"""Which files an ONNX file takes weights from, found without the library `onnx`, which a rig does not have.

ONNX is protobuf; only the fields that lead to tensors are followed.
"""

from __future__ import annotations

from collections.abc import Iterator

_INTO: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""By message, the fields that hold tensors or lead to some, and what they hold."""
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1
"""Fields of a tensor, and the location that is not the file itself."""
_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types of a fixed size."""
_VARINT, _BYTES = 0, 2


def external_files(data: bytes) -> set[str]:
    """Find the files besides itself that an ONNX file takes weights from.

    Parameters
    ----------
    data
        Its content.

    Returns
    -------
    set[str]
        Their names as they stand there; an empty one for a tensor outside that names no file.

    Raises
    ------
    ValueError
        Where it is not protobuf.
    """
    found: set[str] = set()
    waiting: list[tuple[str, memoryview]] = [("model", memoryview(data))]
    while waiting:
        kind, message = waiting.pop()
        if kind == "tensor":
            found |= _outside(message)
            continue
        for number, value in _fields(message):
            if number in _INTO[kind] and isinstance(value, memoryview):
                waiting.append((_INTO[kind][number], value))
    return found


def _outside(tensor: memoryview) -> set[str]:
    names, outside = set(), False
    for number, value in _fields(tensor):
        if number == _EXTERNAL_DATA and isinstance(value, memoryview):
            entry = dict(_fields(value))
            key, text = (bytes(part) for part in (entry.get(1, b""), entry.get(2, b"")))
            if key == b"location":
                names.add(text.decode())
        elif number == _DATA_LOCATION and value == _EXTERNAL:
            outside = True
    return names or ({""} if outside else set())


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of a message's fields."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError(f"a field of the wire type {wire}")
        if at + size > end:
            raise ValueError("a field that is longer than its message")
        if wire == _BYTES:
            yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number that ends too early")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
