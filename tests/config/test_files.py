"""YAML whose values keep their lines; every problem of a file, at once and by its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rigs
from rt_pose.config.build import build, load, to_plain
from rt_pose.config.files import find_config, parse_value, read_config
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import report_drivers
from rt_pose.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "video.yaml"


def problems(file: Path, text: str) -> list[str]:
    """What is said of a run's file, without the path to it."""
    file.write_text(text)
    with pytest.raises(UserError) as raised:
        load(RunConfig, file)
    return str(raised.value).replace(f"{file.parent}/", "").split("\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 1\nbudgt_ms: 3", "video.yaml:2: unknown key 'budgt_ms', did you mean 'budget_ms'?"),
        (
            "rules:\n- name: a\n  when: b\n  probabilty: 1\n  do: {output: c, pulse: 1 ms}",
            "video.yaml:4: unknown key 'rules[0].probabilty', did you mean 'probability'?",
        ),
        (
            "cameras:\n  top:\n    driver: x\n    crop: {width: 3,\n      hight: 4, height: 4}",
            "video.yaml:5: unknown key 'cameras.top.crop.hight', did you mean 'height'?",
        ),
        ("\nbudget_ms: soon", "video.yaml:2: budget_ms: expected `float`, got `str`"),
        (
            "zones:\n a:\n  circle: [1,\n  x, 2]",
            "video.yaml:4: zones.a.circle[1]: expected `float`, got",
        ),
        ("zones:\n a:\n  circle: [1, .nan, 2]", "video.yaml:3: zones.a.circle: expected a number, got nan"),
        ("cameras:\n  top: {options: {}}", "video.yaml:2: cameras.top: 'driver' is missing"),
        ("engine:\n  device: gpuu", "got 'gpuu', did you mean 'gpu'?"),
        ("engine:\n- device", "video.yaml:1: engine: expected keys and values, got list"),
        ("cameras: 3", "video.yaml:1: cameras: expected `object`, got `int`"),
        (
            "rules:\n- {name: a, when: b, do: {output: c, pulse: 5}}",
            "video.yaml:2: rules[0].do.pulse: expected `str | null`, got `int`; a length of time has a unit",
        ),
        ("zones:\n  on: {}", "video.yaml:2: zones.True: a name must be text: write it in quotes"),
        ("seed: 1\nengine: {}\nseed: 2", "video.yaml:3: 'seed' is written twice, first in line 1"),
        (
            "engine:\n  threads: 1\n  device: cpu\n  threads: 2",
            "video.yaml:4: 'engine.threads' is written twice, first in line 2",
        ),
        ("seed: 1\ncameras: [\nx: 1", "video.yaml:3: not YAML: "),
        ("seed: 1\nmetadata: !!python/name:os.system {}", "video.yaml:2: not YAML: "),
        ("metadata: &a {b: *a}", "video.yaml:1: not YAML: metadata.b contains itself"),
        ("", "expected keys and values, got NoneType"),
    ],
)
def test_a_problem_names_its_line(file: Path, text: str, expected: str) -> None:
    (messages,) = problems(file, text)
    assert expected in messages


def test_all_problems_of_a_file_are_told_at_once(file: Path) -> None:
    messages = problems(
        file,
        "budgt_ms: 3\n"
        "engine: {threads: many}\n"
        "rules:\n"
        "- name: a\n"
        "  when: b\n"
        "  hold: 30\n"
        "  do: {puls: 1 ms}\n"
        "seed: 1\n"
        "seed: 2\n",
    )
    assert [line.split(": ")[0] for line in messages] == [f"video.yaml:{n}" for n in (1, 2, 6, 7, 7, 9)]


def test_drivers_and_their_options_have_lines_too(file: Path) -> None:
    rigs.register()
    file.write_text(
        "cameras:\n  a: {driver: simulatd}\n  b:\n    driver: simulated\n    options: {rate: 3}\n"
        "outputs:\n  c: {driver: serial_ttl, options: {port: 3}}\n"
    )
    source = read_config(file)
    report_drivers(source)
    with pytest.raises(UserError) as raised:
        source.check()
    first, second, third = str(raised.value).split("\n")
    assert "video.yaml:2: cameras.a.driver: there is no camera driver 'simulatd', did you mean" in first
    assert "video.yaml:5: unknown key 'cameras.b.options.rate', did you mean 'rate_hz'?" in second
    assert "video.yaml:7: outputs.c.options.port: expected `str`, got `int`" in third


def test_files_that_are_none(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        find_config(file)
    with pytest.raises(UserError, match="is a folder"):
        find_config(tmp_path)
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="not YAML"):
        read_config(file)


def test_what_is_written_once_may_be_used_twice(file: Path) -> None:
    """Anchors and merges of YAML; a key of the merged mapping may be written over."""
    file.write_text(
        "outputs:\n"
        "  a: &box {driver: simulated, options: {delay_ms: 1}, lines: [x]}\n"
        "  b: {<<: *box, lines: [y]}\n"
    )
    config = load(RunConfig, file)
    assert config.outputs["b"].options == config.outputs["a"].options == {"delay_ms": 1}
    assert (config.outputs["a"].lines, config.outputs["b"].lines) == (["x"], ["y"])


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("budget_ms: 3", "budget_ms", 3.0),
        ("budget_ms: 1e2", "budget_ms", 100.0),
        ("engine:", "engine", RunConfig().engine),
        ("engine: {}", "engine", RunConfig().engine),
        ("cameras:\nrules:\nmetadata:", "rules", []),
        ("seconds:", "seconds", None),
        ("metadata: {id: 7, date: 2026-01-02}", "metadata", None),
    ],
)
def test_what_values_become(file: Path, text: str, key: str, value: Any) -> None:
    file.write_text(text)
    config = load(RunConfig, file)
    if value is not None or key == "seconds":
        assert getattr(config, key) == value
        assert type(getattr(config, key)) is type(value)


def test_numbers_without_a_dot_are_numbers_and_quoted_ones_are_text() -> None:
    assert parse_value("2e-3") == 0.002
    assert parse_value("'2e-3'") == "2e-3"
    assert parse_value("1e3x") == "1e3x"


def test_plain_values_and_back() -> None:
    config = build(RunConfig, {"zones": {"a": {"point": [1, 2]}}, "rules": []})
    assert build(RunConfig, to_plain(config)) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata: " + "[" * 3000 + "]" * 3000, "nested more than 40 deep"),
        ("metadata:\n  a: " + "[" * 60 + "]" * 60, "video.yaml:2: not YAML: nested more than 40 deep"),
        ("seed: 1\nbudget_ms: " + "9" * 6000, "video.yaml:2: not YAML: budget_ms: "),
        ("seed: " + "9" * 400, "video.yaml:1: not YAML: seed: a whole number of more than 18 digits"),
        ("seed: 1\n? " + "n" * 10_000 + "\n: 3", "video.yaml:2: not YAML: a key of 10,000 characters"),
        ("metadata:\n  when: 2026-13-45", "video.yaml:2: not YAML: metadata.when: month must be in"),
        ("? [a, b]\n: 1", "a key is a name, not a list or a group"),
        ("metadata: " + "x" * (2 << 20), "are too long for a configuration"),
        (
            "metadata:\n  a0: &a0 [x]\n"
            + "".join(f"  a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(9)),
            "more than 100,000 values, repeated ones included",
        ),
        (
            f"metadata:\n  a: &a {{{', '.join(f'k{i}: 0' for i in range(400))}}}\n"
            f"  b: {{<<: [{', '.join(['*a'] * 130)}]}}",
            "video.yaml:2: not YAML: more than 100,000 values, merged ones included",
        ),
        ("metadata: &a {<<: *a}", "nested more than 40 deep"),
        ("model: !!bool perhaps", "video.yaml:1: not YAML: model: 'perhaps' cannot be read as `bool`"),
        ("seed: !!int ''", "video.yaml:1: not YAML: seed: '' cannot be read as `int`"),
        ("metadata: {at: !!timestamp soon}", "metadata.at: 'soon' cannot be read as `timestamp`"),
        ('seed: 1\nmodel: "\\ud800"', "video.yaml:2: not YAML: model: text with half of a character"),
        ('model: "\\UFFFFFFFF"', "not YAML: an escaped character whose number no character has"),
    ],
)
def test_what_no_configuration_holds_is_one_message(file: Path, text: str, expected: str) -> None:
    (message,) = problems(file, text)
    assert expected in message
    assert len(message) < 300


def test_merges_of_merges_hold_each_key_once() -> None:
    """Otherwise five lines of ten merges each would be a hundred thousand values."""
    text = "a0: &a0 {k: 0}\n" + "".join(
        f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 10)}], k{i}: {i}}}\n" for i in range(5)
    )
    assert parse_value(text)["a5"] == {"k": 0, "k0": 0, "k1": 1, "k2": 2, "k3": 3, "k4": 4}
    assert parse_value("{a: &a {x: 1, y: 2}, b: &b {x: 3}, c: {<<: [*b, *a], z: 4}}")["c"] == {
        "x": 3,
        "y": 2,
        "z": 4,
    }


def test_a_key_written_twice_in_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is written twice"):
        parse_value("{a: 1, b: 2, a: 3}")
    with pytest.raises(ValueError, match="nested more than 40 deep"):
        parse_value("[" * 3000 + "]" * 3000)
