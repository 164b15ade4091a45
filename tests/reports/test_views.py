"""What a report says of cameras that see one animal in space."""

from __future__ import annotations

from pathlib import Path

from support import views_session as views
from support.html_page import check_page

from rt_pose.reports.session_report import make_report
from rt_pose.reports.summary import format_summary


def test_each_camera_and_keypoint_is_summed_up(tmp_path: Path) -> None:
    folder = views.write_views_session(tmp_path / "session")
    found = make_report(folder)
    group = found["views"]["arena"]
    turns = 3 * views.FRAMES - 1
    assert (group["unit"], group["decided"], group["restarts"]) == ("mm", turns, 2)
    assert group["cameras"] == {
        name: {"used": used, "late": late, "median_px": 3.0, "p90_px": 3.0, "n": used}
        for name, used, late in (("a", 40, 0), ("b", 39, 1), ("c", 40, 0))
    }
    assert group["keypoints"]["nose"] == {"placed": 1.0, "views": 3.0, "two": 1.0}
    unseen = 3 / turns
    assert group["keypoints"]["tail"]["placed"] == round(1 - unseen, 4)
    assert group["keypoints"]["tail"]["two"] == round(1 - unseen, 4)
    assert group["latency_ms"]["n"] == turns
    # 6 ms after the view of the turn, or 5 where a newer one had been taken in before it.
    assert (group["latency_ms"]["p50"], group["latency_ms"]["max"]) == (6.0, 6.0)
    assert (group["wrong"], group["why"]) == (["c"], views.WRONG)
    # Its event fired at the turn's own decision, 6 ms after the exposure of the newest view.
    latency = found["latency_ms"]
    assert [latency[name]["n"] for name in ("decision_to_ack", "half_round_trip", "loop")] == [1, 1, 1]
    assert (latency["decision_to_ack"]["p50"], latency["loop"]["p50"]) == (0.0, 6.0)
    assert [one["text"] for one in group["notices"]] == [views.WRONG]
    page = (folder / "report.html").read_text(encoding="utf-8")
    check_page(page)
    assert "<h2>Views arena</h2>" in page
    assert page.count("high fired at 0.15 s") == 3, "on the trace of each camera"
    assert "c no longer fit the calibration: camera &#39;c&#39; has moved" in page
    said = format_summary(found)
    assert "views arena: 119 decided in space, late 1; error, px: a 3.0, b 3.0, c 3.0" in said
    assert "WRONG CALIBRATION, views arena: c: camera 'c' has moved" in said
