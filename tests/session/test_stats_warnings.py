"""What the terminal says of outputs and inputs as stats come: each thing once, whatever else has failed."""

from __future__ import annotations

from typing import Any

from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.session.stats_warnings import StatsWarnings

FAULT = {"laser": "OSError: gone"}
OF_LASER = {"output 'laser'": (1, "output failed: OSError: gone")}


def warnings_after(*all_stats: dict[str, Any]) -> list[list[str]]:
    """What is said at each of the stats, which are those of a quiet run but for what is given."""
    quiet: dict[str, Any] = {"last_failure": "", "output_failed": False, "silences": {}}
    quiet |= {key: {} for key in ("output_faults", "notices", "cameras_lost", "cameras_silent", "drift")}
    outputs = {name: OutputConfig("simulated") for name in ("laser", "lamp")}
    warnings = StatsWarnings(RunConfig(outputs=outputs))
    return [list(warnings.compare(quiet | stats, None)) for stats in all_stats]


def test_a_camera_that_was_moved_is_told_once_and_when_it_is_right_again() -> None:
    right: dict[str, Any] = {"views": {"arena": {"wrong": [], "why": ""}}}
    off: dict[str, Any] = {"views": {"arena": {"wrong": ["side"], "why": "camera side is off"}}}
    first, second, third, fourth = warnings_after(right, off, off, right)
    assert (first, third) == ([], [])
    assert len(second) == 1
    assert second[0].startswith("views 'arena': camera side is off; decisions go on")
    assert fourth == ["views 'arena': its cameras agree again"]


def test_a_notice_is_told_beside_the_fault_of_another_output() -> None:
    lever = {"input 'lever'": (1, "the box has dropped 3 edges")}
    first, second, third = warnings_after(
        {"output_faults": FAULT, "notices": OF_LASER},
        {"output_faults": FAULT, "notices": OF_LASER | lever},
        {"output_faults": FAULT, "notices": OF_LASER | {"input 'lever'": (4, "it is back")}},
    )
    assert first == ["output 'laser' failed: OSError: gone; its commands are refused until it works again"]
    assert second == ["input 'lever': the box has dropped 3 edges"]
    assert third == ["input 'lever': it is back (the log has 2 more of it)"]


def test_what_comes_with_the_fault_between_two_stats_is_told_too() -> None:
    (both,) = warnings_after(
        {"output_faults": FAULT, "notices": {"output 'lamp'": (1, "interlock open")} | OF_LASER}
    )
    assert both[1:] == ["output 'lamp': interlock open"]


def test_a_stimulus_that_fails_is_told_beside_the_fault_of_another_output_and_not_with_its_own() -> None:
    own = "rule 'reach', output 'laser': failed: OSError: gone"
    other = "rule 'cue', output 'lamp': refused: interlock open"
    broken = {"output_faults": FAULT, "notices": OF_LASER}
    after = warnings_after(
        broken | {"last_failure": own}, {"last_failure": own}, broken | {"last_failure": other}, broken
    )
    assert not any("a stimulus failed" in line for line in (*after[0], *after[1]))
    assert f"a stimulus failed: {other}; further ones are counted" in after[2]
    assert after[3] == []
