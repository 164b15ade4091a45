"""Options that set keys: one grammar for files and command line, one configuration from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.log_lines import log_into

from rt_pose.cli.main import parser_of, verb_of
from rt_pose.config.build import build, load, to_plain
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError

TEXT = """
cameras: {top: {driver: simulated, options: {rate_hz: 30}}}
zones: {corner: {circle: [1, 2, 3]}}
rules:
  - {name: reach, when: speed(nose) > 3, do: {output: laser, pulse: 5 ms}}
  - {name: edge, when: speed(nose) > 9, do: {output: laser, pulse: 5 ms}}
protocol: [{block: baseline, rules: []}]
"""


def parsed(*words: str) -> Any:
    """The options of a command line."""
    verb = verb_of(words)
    assert verb is not None
    return parser_of(verb).parse(words[len(verb.split()) :])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(TEXT)
    return str(path)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--engine.threads", "2"], "engine.threads", 2),
        (["--engine.threads=2"], "engine.threads", 2),
        (["--armed_at_start"], "armed_at_start", True),
        (["--record.video"], "record.video", True),
        (["--engine", "{threads: 3, device: gpu}"], "engine.device", "gpu"),
        (["--armed-at-start", "true"], "armed_at_start", True),
        (["--seconds", "1e1"], "seconds", 10.0),
        (["--seconds", "3", "--seconds", "4"], "seconds", 4.0),
        (["--seconds", "null"], "seconds", None),
        (["--model", "2026-11-01"], "model", "2026-11-01"),
        (["--model", ""], "model", ""),
        (["--publish.address", "tcp://127.0.0.1:*"], "publish.address", "tcp://127.0.0.1:*"),
        (["--cameras.top.options.rate_hz", "60"], "cameras.top.options.rate_hz", 60),
        (["--cameras.top.crop", "{width: 3, height: 4}"], "cameras.top.crop.width", 3),
        (["--cameras.side.driver", "simulated"], "cameras.side.driver", "simulated"),
        (["--zones.corner.circle", "4", "5", "-6"], "zones.corner.circle", [4.0, 5.0, -6.0]),
        (["--zones.corner.circle", "4,5,6"], "zones.corner.circle", [4.0, 5.0, 6.0]),
        (["--zones.corner.circle", "[4, 5, 6]"], "zones.corner.circle", [4.0, 5.0, 6.0]),
        (["--rules.edge.hold", "30 ms"], "rules.1.hold", "30 ms"),
        (["--rules.1.hold", "30 ms"], "rules.1.hold", "30 ms"),
        (["--rules.edge.do.level", "on"], "rules.1.do.level", True),
        (["--rules.reach.release", "speed(nose) < 3"], "rules.0.release", "speed(nose) < 3"),
        (["--protocol.baseline.rules", "reach"], "protocol.0.rules", ["reach"]),
        (["--rules", "[]"], "rules", []),
        (["--metadata.subject", "7"], "metadata.subject", 7),
    ],
)
def test_an_option_is_the_same_as_the_key_in_the_file(
    file: str, words: list[str], key: str, value: Any
) -> None:
    node = to_plain(parsed("run", file, *words).config)
    for word in key.split("."):
        node = node[int(word)] if word.isdigit() and isinstance(node, list) else node[word]
    assert node == value
    assert type(node) is type(value)


def test_the_file_may_be_named_by_an_option_before_or_behind_others(file: str) -> None:
    beside = str(Path(file).with_suffix(".certificate.json"))
    wanted = build(RunConfig, to_plain(load(RunConfig, file)) | {"seed": 5, "certificate_file": beside})
    assert parsed("run", file, "--seed", "5").config == wanted
    assert parsed("run", "--config", file, "--seed", "5").config == wanted
    assert parsed("run", "--seed", "5", f"--config={file}").config == wanted


def test_options_of_the_verb_stay_its_own(file: str) -> None:
    options = parsed("run", file, "--report", "false", "--out", "here", "--camera=sim", "--frames", "every")
    assert (options.report, options.out, options.config.frames) == (False, "here", "every")
    assert list(options.config.cameras) == ["top"]
    assert parsed("replay", "S", "--tolerance_ms", "3", "--from_video").from_video


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sekunds", "3"], "unknown option --sekunds, did you mean --seconds?"),
        (["--engine.thread", "3"], "--engine.thread: no such option, did you mean --engine.threads?"),
        (["--engine.threads", "many"], "--engine.threads: expected `int`, got `str`"),
        (["--engine.threads"], "--engine.threads: expected one value, got none"),
        (["--engine.threads", "1", "2"], "--engine.threads: expected one value, got 1 2"),
        (["--engine.device", "gpuu"], "--engine.device: expected one of cpu, gpu, got 'gpuu', did you mean"),
        (
            ["--rules.rech.hold", "1 ms"],
            "--rules.rech.hold: there is no 'rech' in rules, did you mean",
        ),
        (["--rules.reach.hold", "1 ms", "2"], "--rules.reach.hold: expected one value"),
        (["--seed.of", "3"], "--seed.of: seed is a single value"),
        (["--model.of", "3"], "--model.of: model is a single value"),
        (["--zones.corner.circle", "[4"], "--zones.corner.circle: "),
        (["--cameras.new.options.x", "3"], "cameras.new: 'driver' is missing"),
        (["--budget_ms", "0"], "--budget_ms: expected more than 0, got 0"),
        (["--metadata.who", "\udcff"], "--metadata.who: expected text in UTF-8"),
    ],
)
def test_what_an_option_cannot_be(file: str, words: list[str], expected: str) -> None:
    with pytest.raises(UserError) as raised:
        parsed("run", file, *words)
    assert expected in str(raised.value)


def test_problems_of_the_file_and_of_options_come_together(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("budgt_ms: 3\nengine: {threads: x}\n")
    with pytest.raises(UserError) as raised:
        parsed("run", str(path), "--enginee.threads", "2", "--seed", "x", "--engine.device", "cpu")
    lines = str(raised.value).split("\n")
    assert [line.rpartition("/")[2].split(": ")[0] for line in lines[:2]] == ["run.yaml:1", "run.yaml:2"]
    assert [line.split(": ")[0] for line in lines[2:]] == ["run", "--seed"]


def test_trainings_have_the_same_grammar(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("losses:\n  heatmap_kl: {}\n  temporal:\nnetwork:\n")
    options = ["--losses.temporal.weight", "2e-1", "--network.context", "4", "--init_from", "", "--resume"]
    config = parsed("train", "fit", str(path), *options, "--videos", "[a.mp4]", "--seeds", "0,1").config
    assert (config.losses["temporal"].weight, config.network.context, config.init_from) == (0.2, 4, "")
    assert config.resume
    assert config.videos == ["a.mp4"]
    assert list(config.losses) == ["heatmap_kl", "temporal"]
    assert list(parsed("train", "fit", "--losses.temporal.weight", "1").config.losses) == [
        "heatmap_kl",
        "temporal",
    ], "what is there where nothing is written stays"
    config = parsed(
        "train", "distill", "--teachers", "a", "b", "--videos", "c", "--pseudo.sure-px", "3"
    ).config
    assert (config.teachers, config.videos, config.pseudo.sure_px) == (["a", "b"], ["c"], 3.0)
    assert config.init_from == "teacher"


def test_the_help_of_a_section_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        parsed("run", "--rules.help")
    assert leaving.value.code == 0
    assert "--rules.NAME.hold" in capsys.readouterr().out


def test_verbs_that_take_options_only() -> None:
    given = ["--model", "p", "--data", "d", "--out", "o"]
    config = parsed("train", "evaluate", *given, "--within_px", "2,5", "--views", "a=b", "c=d").config
    assert (config.within_px, config.views) == ([2.0, 5.0], ["a=b", "c=d"])
    config = parsed("train", "quantise", "--model", "p", "--frames", "[v.mp4]", "--precisions", "int8").config
    assert (config.frames, config.precisions) == (["v.mp4"], ["int8"])
    config = parsed("train", "calibrate", "--model", "p", "--video", "a", "b", "--engine.threads", "1").config
    assert (config.video, config.labels, config.engine.threads) == (["a", "b"], None, 1)
    config = parsed("predict", "--model", "a", "b", "--out", "o", "--cluster.where", "slurm").config
    assert (config.cluster.where, config.engine.device) == ("slurm", "cpu")
    config = parsed("bench", "latency", "--model", "p", "--video", "v", "--engine.precision", "int8").config
    assert config.engine.precision == "int8"
    options = ["--video", "v", "--truth", "t", "--model", "p", "--config", "c"]
    config = parsed("bench", "triggers", *options, "--faults.drop", "0.1").config
    assert (config.faults.drop, config.faults.jitter_ms) == (0.1, 2.0), "the rest of a bad day stays"
    with pytest.raises(UserError, match="evaluate: --data is missing\ntrain evaluate: --out is missing"):
        parsed("train", "evaluate", "--model", "p")


@pytest.mark.parametrize("option", ["--init_from", "--init-from", "--warm_start", "--warm-start"])
def test_the_warm_start_has_two_names(option: str) -> None:
    built = parser_of("train fit").parse([option, "runs/earlier"]).config
    assert built.init_from == "runs/earlier"


@pytest.mark.parametrize("words", [["true"], []])
def test_a_key_that_is_gone_is_ignored_with_one_line(
    words: list[str],
) -> None:
    lines: list[str] = []
    given = ["--engine.keep_warm", *words, "--engine.threads", "2"]
    options = log_into(lines, parser_of("run").parse, given)
    assert options.config.engine.threads == 2
    (line,) = lines
    assert line.startswith("--engine.keep_warm: engine.keep_warm is ignored")
