"""Generates protocol.h and protocol.py from protocol.yaml: `python -m rigs.firmware.generate`."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
DESCRIPTION = HERE / "protocol.yaml"
SIZES = {"u8": 1, "u16": 2, "u32": 4}
STRUCT = {"u8": "B", "u16": "H", "u32": "I"}
_CHARS = re.compile(r"char(\d+)")
CRC_SIZE = 2


@dataclass(frozen=True)
class MessageSpec:
    """One message of the description."""

    name: str
    code: int
    doc: str
    fields: dict[str, str]

    @property
    def c_name(self) -> str:
        """Name of the C struct."""
        return "Ttl" + self.name.title()

    @property
    def size(self) -> int:
        """Bytes without the crc."""
        return 3 + sum(_size(kind) for kind in self.fields.values())


def render(description: dict[str, Any]) -> dict[str, str]:
    """Render the files that are generated from the description of the protocol.

    Parameters
    ----------
    description
        The content of protocol.yaml: `name`, `version`, `max_lines`, `flags`, `answers`, and the messages
        `to_box` and `from_box`.

    Returns
    -------
    dict of str to str
        The text of every file, by its name.

    Raises
    ------
    ValueError
        Where two messages have the same code.
    """
    to_box = [MessageSpec(name, **m) for name, m in description["to_box"].items()]
    from_box = [MessageSpec(name, **m) for name, m in description["from_box"].items()]
    codes = [m.code for m in (*to_box, *from_box)]
    if len(set(codes)) != len(codes):
        raise ValueError("protocol.yaml: two messages have one code")
    return {
        "protocol.h": _header(description, to_box, from_box),
        "protocol.py": _module(description, [*to_box, *from_box]),
    }


def main() -> None:
    """Write the generated files beside the description."""
    for name, text in render(yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))).items():
        (HERE / name).write_text(text, encoding="utf-8")


def _size(kind: str) -> int:
    chars = _CHARS.fullmatch(kind)
    return int(chars[1]) if chars else SIZES[kind]


def _header(description: dict[str, Any], to_box: list[MessageSpec], from_box: list[MessageSpec]) -> str:
    largest = max(m.size for m in (*to_box, *from_box)) + CRC_SIZE
    lines = [
        "// Generated from protocol.yaml by `python -m rigs.firmware.generate`. Do not edit.",
        "",
        "#pragma once",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "#include <string.h>",
        "",
        f'#define TTL_NAME "{description["name"]}"',
        f"#define TTL_VERSION {description['version']}",
        f"#define TTL_MAX_LINES {description['max_lines']}",
        "#define TTL_HEADER_SIZE 3",
        f"#define TTL_MAX_MESSAGE {largest}  // with its crc",
        f"#define TTL_MAX_ENCODED {largest + 1}  // in COBS, without the 0 at its end",
        "",
        *(f"#define TTL_FLAG_{name.upper()} {bit}" for name, bit in description["flags"].items()),
        *(f"#define TTL_{name.upper()} {value}" for name, value in description["answers"].items()),
        "",
        *(f"#define TTL_{m.name.upper()} 0x{m.code:02x}" for m in (*to_box, *from_box)),
        "",
        "static inline uint16_t ttl_u16(const uint8_t *b) { return (uint16_t)(b[0] | (b[1] << 8)); }",
        "static inline uint32_t ttl_u32(const uint8_t *b) {",
        "  return (uint32_t)ttl_u16(b) | ((uint32_t)ttl_u16(b + 2) << 16);",
        "}",
        "static inline void ttl_put_u16(uint8_t *b, uint16_t v) {",
        "  b[0] = (uint8_t)v;",
        "  b[1] = (uint8_t)(v >> 8);",
        "}",
        "static inline void ttl_put_u32(uint8_t *b, uint32_t v) {",
        "  ttl_put_u16(b, (uint16_t)v);",
        "  ttl_put_u16(b + 2, (uint16_t)(v >> 16));",
        "}",
    ]
    for message in to_box:
        lines += ["", *_c_struct(message), *_c_read(message)]
    for message in from_box:
        lines += ["", *_c_struct(message), *_c_write(message)]
    return "\n".join(lines) + "\n"


def _c_struct(message: MessageSpec) -> list[str]:
    fields = {"seq": "u16", **message.fields}
    return [f"// {message.doc}", f"struct {message.c_name} {{", *map(_c_field, fields, fields.values()), "};"]


def _c_field(name: str, kind: str) -> str:
    chars = _CHARS.fullmatch(kind)
    if chars:
        return f"  char {name}[{int(chars[1]) + 1}];"
    return f"  {'uint' + str(8 * SIZES[kind])}_t {name};"


def _c_read(message: MessageSpec) -> list[str]:
    lines = [
        f"static inline bool ttl_read_{message.name}(const uint8_t *b, size_t size, {message.c_name} *m) {{",
        f"  if (size != {message.size}) return false;",
        "  m->seq = ttl_u16(b + 1);",
    ]
    at = 3
    for name, kind in message.fields.items():
        lines.append(f"  m->{name} = {f'b[{at}]' if kind == 'u8' else f'ttl_{kind}(b + {at})'};")
        at += _size(kind)
    return [*lines, "  return true;", "}"]


def _c_write(message: MessageSpec) -> list[str]:
    lines = [
        f"static inline size_t ttl_write_{message.name}(const {message.c_name} *m, uint8_t *b) {{",
        f"  b[0] = 0x{message.code:02x};",
        "  ttl_put_u16(b + 1, m->seq);",
    ]
    at = 3
    for name, kind in message.fields.items():
        if _CHARS.fullmatch(kind):
            lines.append(f"  memcpy(b + {at}, m->{name}, {_size(kind)});")
        elif kind == "u8":
            lines.append(f"  b[{at}] = m->{name};")
        else:
            lines.append(f"  ttl_put_{kind}(b + {at}, m->{name});")
        at += _size(kind)
    return [*lines, f"  return {message.size};", "}"]


def _module(description: dict[str, Any], messages: list[MessageSpec]) -> str:
    lines = [
        '"""The messages of the TTL box.',
        "",
        "Generated from protocol.yaml by `python -m rigs.firmware.generate`. Do not edit.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "import struct",
        "from dataclasses import astuple, dataclass",
        "from typing import ClassVar",
        "",
        f'NAME = "{description["name"]}"',
        f"VERSION = {description['version']}",
        f"MAX_LINES = {description['max_lines']}",
        *(f"FLAG_{name.upper()} = {bit}" for name, bit in description["flags"].items()),
        f"ANSWERS = {_answers(description['answers'])}",
        "",
        "",
        "@dataclass(slots=True)",
        "class Message:",
        '    """What all messages share."""',
        "",
        "    CODE: ClassVar[int]",
        "    LAYOUT: ClassVar[struct.Struct]",
        "    seq: int",
        "",
        "    def pack(self) -> bytes:",
        '        """The message without its crc."""',
        "        return self.LAYOUT.pack(self.CODE, *astuple(self))",
        "",
        "",
        *[line for message in messages for line in _class(message)],
        "_ALL: tuple[type[Message], ...] = (",
        *(f"    {m.name.title()}," for m in messages),
        ")",
        "MESSAGES = {kind.CODE: kind for kind in _ALL}",
        "",
        "",
        "def unpack(message: bytes) -> Message | None:",
        '    """The message without its crc; None where it is none of this version."""',
        "    kind = MESSAGES.get(message[0]) if message else None",
        "    if kind is None or len(message) != kind.LAYOUT.size:",
        "        return None",
        "    return kind(*kind.LAYOUT.unpack(message)[1:])",
    ]
    return "\n".join(lines) + "\n"


def _answers(answers: dict[str, int]) -> str:
    pairs = ", ".join(f'{value}: "{name.replace("_", " ")}"' for name, value in answers.items())
    return f"{{{pairs}}}"


def _class(message: MessageSpec) -> list[str]:
    layout = "<BH" + "".join(
        f"{_size(kind)}s" if _CHARS.fullmatch(kind) else STRUCT[kind] for kind in message.fields.values()
    )
    assert struct.calcsize(layout) == message.size
    types = {name: "bytes" if _CHARS.fullmatch(kind) else "int" for name, kind in message.fields.items()}
    return [
        "@dataclass(slots=True)",
        f"class {message.name.title()}(Message):",
        f'    """{message.doc}"""',
        "",
        f"    CODE: ClassVar[int] = 0x{message.code:02X}",
        f'    LAYOUT: ClassVar[struct.Struct] = struct.Struct("{layout}")',
        *(f"    {name}: {kind}" for name, kind in types.items()),
        "",
        "",
    ]


if __name__ == "__main__":
    main()
