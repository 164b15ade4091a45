"""Generates protocol.h, the box's side of the wire, from protocol.py: `python -m rigs.firmware.generate`."""

from __future__ import annotations

import struct
from pathlib import Path

from rigs.firmware.protocol import ANSWERS, FROM_BOX, MAX_LINES, MESSAGES, NAME, VERSION, Flag, Message

HEADER = Path(__file__).with_name("protocol.h")
BITS = {"B": 8, "H": 16, "I": 32}
CRC_SIZE = 2


def main() -> None:
    """Write the header."""
    HEADER.write_text(render(), encoding="utf-8")


def render() -> str:
    """Return the text of protocol.h."""
    largest = max(kind.LAYOUT.size for kind in MESSAGES.values()) + CRC_SIZE
    lines = [
        "// Generated from protocol.py by `python -m rigs.firmware.generate`. Do not edit.",
        "",
        "#pragma once",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "#include <string.h>",
        "",
        f'#define TTL_NAME "{NAME}"',
        f"#define TTL_VERSION {VERSION}",
        f"#define TTL_MAX_LINES {MAX_LINES}",
        "#define TTL_HEADER_SIZE 3",
        f"#define TTL_MAX_MESSAGE {largest}  // with its crc",
        f"#define TTL_MAX_ENCODED {largest + 1}  // in COBS, without the 0 at its end",
        "",
        *(f"#define TTL_FLAG_{flag.name} {flag.value}" for flag in Flag),
        *(f"#define TTL_{name.upper().replace(' ', '_')} {value}" for value, name in ANSWERS.items()),
        "",
        *(f"#define TTL_{kind.__name__.upper()} 0x{code:02x}" for code, kind in MESSAGES.items()),
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
    for code, kind in MESSAGES.items():
        lines += ["", *_struct(kind), *(_write(kind) if code >= FROM_BOX else _read(kind))]
    return "\n".join(lines) + "\n"


def _struct(kind: type[Message]) -> list[str]:
    fields = [
        f"  uint{BITS[letter]}_t {name};" if letter in BITS else f"  char {name}[{int(letter[:-1]) + 1}];"
        for name, letter in kind.KINDS.items()
    ]
    return [f"// {kind.__doc__}", f"struct Ttl{kind.__name__} {{", *fields, "};"]


def _read(kind: type[Message]) -> list[str]:
    name = kind.__name__
    head = f"static inline bool ttl_read_{name.lower()}(const uint8_t *b, size_t size, Ttl{name} *m) {{"
    lines = [head, f"  if (size != {kind.LAYOUT.size}) return false;"]
    for field, letter, at in _places(kind):
        lines.append(f"  m->{field} = {f'b[{at}]' if letter == 'B' else f'ttl_u{BITS[letter]}(b + {at})'};")
    return [*lines, "  return true;", "}"]


def _write(kind: type[Message]) -> list[str]:
    name = kind.__name__
    head = f"static inline size_t ttl_write_{name.lower()}(const Ttl{name} *m, uint8_t *b) {{"
    lines = [head, f"  b[0] = 0x{kind.CODE:02x};"]
    for field, letter, at in _places(kind):
        if letter == "B":
            lines.append(f"  b[{at}] = m->{field};")
        elif letter in BITS:
            lines.append(f"  ttl_put_u{BITS[letter]}(b + {at}, m->{field});")
        else:
            lines.append(f"  memcpy(b + {at}, m->{field}, {struct.calcsize(letter)});")
    return [*lines, f"  return {kind.LAYOUT.size};", "}"]


def _places(kind: type[Message]) -> list[tuple[str, str, int]]:
    """Return the name of each field, its letter and its offset in the message, bytes."""
    found, at = [], 1
    for name, letter in kind.KINDS.items():
        found.append((name, letter, at))
        at += struct.calcsize(letter)
    return found


if __name__ == "__main__":
    main()
