"""What `--help` says is so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support import few_drivers

from rigs.faults import BadDay, FaultOptions
from rt_pose.cli.main import VERBS, main, parser_of
from rt_pose.config.build import default_of, hints_of, load
from rt_pose.config.keys import keys_of
from rt_pose.loop.requests import ORDERS
from train.importing.onnx_example import EXAMPLE
from train.importing.onnx_spec import OnnxSpec


def test_the_form_of_the_yaml_in_import_onnx_is_one_that_is_read(tmp_path: Path) -> None:
    text = parser_of("import onnx").format_help()
    assert EXAMPLE in text
    (tmp_path / "spec.yaml").write_text(EXAMPLE)
    spec = load(OnnxSpec, tmp_path / "spec.yaml")
    assert (spec.maps, spec.decode.stride, len(spec.keypoints)) == ("heatmap", 4, 4)
    shown = {line.lstrip("# ").partition(":")[0] for line in EXAMPLE.splitlines()}
    assert shown == {field.name for field in dataclasses.fields(OnnxSpec)}


def test_bench_triggers_says_which_faults_are_on() -> None:
    text = " ".join(parser_of("bench triggers").format_help().split())
    faults = BadDay().faults
    assert faults != FaultOptions()
    on = f"drop {faults.drop:g}, jitter_ms {faults.jitter_ms:g}, late {faults.late:g}"
    on += f", late_ms {faults.late_ms:g}"
    assert f"faults are on: {on}" in text


@pytest.mark.parametrize("verb", list(VERBS))
def test_sections_whose_defaults_differ_from_those_of_their_keys_say_so(verb: str) -> None:
    """The help states a key's default as its class has it; a section that begins otherwise must say how."""
    kind = parser_of(verb).kind
    texts = {key.name: key.text for key in keys_of(kind)} if kind else {}
    for field in dataclasses.fields(kind) if kind else ():
        section = hints_of(kind)[field.name]
        default = default_of(field)
        if dataclasses.is_dataclass(section) and default is not dataclasses.MISSING and default is not None:
            own = section()  # type: ignore[operator]
            changed = [
                f.name for f in dataclasses.fields(own) if getattr(own, f.name) != getattr(default, f.name)
            ]
            for name in changed:
                assert f"{name} {getattr(default, name):g}" in texts[field.name], f"{verb} --{field.name}"


def test_every_order_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = parser_of("order").format_help()
    for order in (*ORDERS, "status", "emergency"):
        assert order in text.partition("orders:")[2]
    for key in ("enabled", "probability", "release"):
        assert f"rules.NAME.{key}" in text
    assert main(["order", "status", "--connect", "tcp://127.0.0.1:9"]) == 2
    assert "unknown order" not in capsys.readouterr().err


def test_an_output_without_its_board_is_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rt_pose.drivers import registry

    few_drivers.only(monkeypatch, "serial_ttl")
    monkeypatch.setattr(registry._OUTPUTS["serial_ttl"], "find", classmethod(lambda cls: []))
    assert main(["devices"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "serial_ttl" in line)
    assert line.split()[:3] == ["output", "serial_ttl", "-"]
    assert "none is connected (not usable: plug one in" in line
