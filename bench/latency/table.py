"""The figures of `rt-pose bench latency` for people, on a terminal."""

from __future__ import annotations

from typing import Any

from bench.output import markdown_table

NAMES = {
    "image_to_pose": "image to pose",
    "image_to_decision": "image to decision",
    "engine": "of which network",
    "overhead": "overhead",
    "overhead_paced": "overhead, paced",
    "outside_network": "all but the network",
    "exposure_to_decision": "exposure to decision",
    "decision_to_ack": "decision to ack",
}
"""Keys of `latency_ms` that are shown, in this order."""
PERCENTILES = {"P50": "p50", "P90": "p90", "P99": "p99", "P99.9": "p99_9", "max": "max"}


def table(figures: dict[str, Any]) -> str:
    """Format the result for a terminal.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        Lines and tables.
    """
    bench, latency = figures["bench"], figures["latency_ms"]
    bare = bench["reference"]["bare_ms"]
    rows = [
        *((name, latency.get(key)) for key, name in NAMES.items()),
        ("bare, back to back", bare["back_to_back"]),
        ("bare, paced", bare["paced"]),
        *((f"stage: {name}", found) for name, found in figures["stages_ms"].items()),
    ]
    lines = [
        machine_line(figures),
        recording_line(figures),
        markdown_table(["ms", "n", *PERCENTILES], [_row(name, found) for name, found in rows]),
        reference_line(figures),
        ratio_line(figures),
        drops_line(figures),
    ]
    if bench.get("sustainable"):
        lines += sustainable_lines(bench["sustainable"])
    if bench.get("compared"):
        lines += compared_lines(bench["compared"])
    return "\n".join(lines)


def _row(name: str, found: dict[str, Any] | None) -> list[str]:
    """One figure's percentiles."""
    found = found or {}
    return [name, str(found.get("n", "-")), *(_two(found.get(key)) for key in PERCENTILES.values())]


def machine_line(figures: dict[str, Any]) -> str:
    """Describe machine and engine.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        A line.
    """
    machine, engine = figures["machine"], figures["engine"]
    return f"{machine['cpu']}, {machine['cores_usable']} cores; {engine['description']}"


def recording_line(figures: dict[str, Any]) -> str:
    """Describe what was played, and how.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        A line.
    """
    r = figures["bench"]["recording"]
    scaled = "x".join(map(str, r["scaled_from"]))
    size = f"{r['width']}x{r['height']}"
    return (
        f"{r['path']}: {size}{'' if size == scaled else f' (scaled from {scaled})'}, "
        f"{'gray' if r['channels'] == 1 else 'RGB'}, {r['rate_hz']:g} frames/s for {r['seconds']:g} s, "
        + ("decoded ahead into memory" if r["preloaded"] else "decoded as it is played")
    )


def reference_line(figures: dict[str, Any]) -> str:
    """Say what the overhead is measured against.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        A line.
    """
    reference = figures["bench"]["reference"]
    if reference["kind"] == "alternate":
        where = f"of the two neighbouring of {reference['blocks']} bare blocks between the loop's"
    else:
        where = "before and after the run"
    return (
        f"overhead: image to decision less the bare forward's median back to back {where}; 'paced': less the "
        "same at the loop's rate"
    )


def ratio_line(figures: dict[str, Any]) -> str:
    """Describe the tails: P99 over P50 of the loop and of the bare engine.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        A line.
    """
    ratio = figures["bench"]["p99_over_p50"]
    return (
        f"P99 over P50: image to decision {_two(ratio['image_to_decision'])}, bare engine paced "
        f"{_two(ratio['bare_paced'])}, back to back {_two(ratio['bare_back_to_back'])}; loop over paced bare "
        f"{_two(ratio['loop_over_bare_paced'])}"
    )


def drops_line(figures: dict[str, Any]) -> str:
    """Count frames that did not get through, and decisions that came too late.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        A line.
    """
    frames, deadline = figures["frames"], figures["deadline"]
    dropped = ", ".join(f"{stage} {n}" for stage, n in frames["dropped"].items()) or "none"
    warm = figures["engine"].get("kept_warm")
    waited = f"; kept warm {warm['runs']} times, {warm['frames_waited']} frames waited for it" if warm else ""
    return (
        f"frames: captured {frames['captured']}, processed {frames['processed']}, dropped "
        f"{dropped}, device gaps {frames['device_gaps']}; deadline {deadline['budget_ms']:g} ms "
        f"missed by {deadline['missed']} of {deadline['n']}{waited}"
    )


def sustainable_lines(found: dict[str, Any]) -> list[str]:
    """Describe the highest rate that holds, and the throughput, which is another thing.

    Parameters
    ----------
    found
        What `bench.sustainable.sustainable` returned.

    Returns
    -------
    list[str]
        Two lines.
    """
    rate = found["rate_hz"]
    held = "no rate tried held" if rate is None else f"{rate:.1f} frames/s"
    return [
        f"sustainable rate: {held} (nothing dropped, P99 of exposure to decision within "
        f"{found['budget_ms']:g} ms; {len(found['trials'])} trials of {found['trial_s']:g} s; "
        f"{_two(found['failed_hz'])} did not hold)",
        f"throughput: {found['throughput_hz']:.1f} frames/s (back to back, no frame left out: not a latency)",
    ]


def compared_lines(compared: dict[str, Any]) -> list[str]:
    """Compare this run with an earlier one.

    Parameters
    ----------
    compared
        What `bench.compare.compare` returned.

    Returns
    -------
    list[str]
        Lines and a table.
    """
    rows = [
        [name.replace("_", " "), *(_two(ratios[key]) for key in PERCENTILES.values())]
        for name, ratios in compared["ratios"].items()
    ]
    return [
        f"compared with {compared['file']} (this run / that one):",
        *(f"  NOTE {note}" for note in compared["notes"]),
        markdown_table(["ratio", *PERCENTILES], rows),
    ]


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
