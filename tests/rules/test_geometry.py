"""Pixels to millimetres against OpenCV and against differences."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rt_pose.config.rules import GeometryConfig, LensConfig, ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry, Lens, horizon_warnings, make_geometry
from rt_pose.rules.placed_zones import place_zones
from rt_pose.types import CameraInfo

MATRIX = [[400.0, 0.0, 320.0], [0.0, 410.0, 240.0], [0.0, 0.0, 1.0]]
DISTORTION = [-0.25, 0.08, 0.001, -0.002, -0.01]
HOMOGRAPHY = [[0.4, 0.02, -30.0], [-0.01, 0.5, 12.0], [1e-4, -2e-4, 1.0]]


def whole() -> Geometry:
    lens = LensConfig(MATRIX, DISTORTION)
    return make_geometry(GeometryConfig(homography=HOMOGRAPHY, lens=lens), "g")


def test_lens_and_homography_are_those_of_opencv() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([40, 40], [600, 440], (50, 2))
    ideal = cv2.undistortPoints(
        points[:, None],
        np.array(MATRIX),
        np.array(DISTORTION),
        None,
        None,
        np.array(MATRIX),
        (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12),
    )
    expected = cv2.perspectiveTransform(ideal, np.array(HOMOGRAPHY))[:, 0]
    got = np.array([whole().to_mm([x, y, 0.0, 0.0])[0][:2] for x, y in points])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    back = np.array([whole().to_px(*place) for place in got])
    np.testing.assert_allclose(back, points, atol=1e-8)


def test_velocity_and_covariance_go_through_the_derivative() -> None:
    geometry, at, step = whole(), np.array([150.0, 380.0]), 1e-4
    mean, full = geometry.to_mm([*at, 30.0, -20.0])
    columns = []
    for axis in np.eye(2):
        ahead = geometry.to_mm([*(at + step * axis), 0.0, 0.0])[0][:2]
        behind = geometry.to_mm([*(at - step * axis), 0.0, 0.0])[0][:2]
        columns.append((np.array(ahead) - behind) / (2 * step))
    jacobian = np.array(columns).T
    np.testing.assert_allclose(full[:2, :2], jacobian, rtol=1e-6)
    np.testing.assert_allclose(mean[2:], jacobian @ [30.0, -20.0], rtol=1e-6)


def test_a_scale_and_nan() -> None:
    geometry = make_geometry(GeometryConfig(mm_per_px=0.5), "g")
    assert geometry.to_mm([2.0, 4.0, 6.0, 8.0])[0] == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(whole().to_mm([np.nan, 4.0, 6.0, 8.0])[0]).all()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "expected either `mm_per_px"),
        ({"mm_per_px": 1.0, "homography": HOMOGRAPHY}, "expected either"),
        ({"mm_per_px": 0.0}, "more than 0"),
        ({"homography": [[1.0, 0.0], [0.0, 1.0]]}, "three rows of three"),
        ({"homography": [[1.0], [0.0, 1.0], [2.0]]}, "three rows of three"),
        ({"homography": [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 0.0, 1.0]]}, "can be inverted"),
        ({"mm_per_px": 1.0, "lens": LensConfig(MATRIX, [0.1])}, "k1, k2, p1, p2"),
        (
            {"mm_per_px": 1.0, "lens": LensConfig(np.diag([-1.0, 1.0, 1.0]).tolist(), [0.0] * 4)},
            "focal lengths",
        ),
    ],
)
def test_what_is_no_geometry(config: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match="geometry") as caught:
        make_geometry(GeometryConfig(**config), "geometry.top")  # type: ignore[arg-type]
    assert expected in str(caught.value)


OBLIQUE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.01, -1.0]])
"""Its horizon lies at y = 100 px; the floor is below."""
FLOOR, SKY = [50.0, 200.0, 3.0, 4.0], [50.0, 50.0, 3.0, 4.0]


def test_beyond_the_horizon_there_are_no_mm() -> None:
    """A homography maps the sky as well, to places behind the camera."""
    open_sided = Geometry(OBLIQUE)
    assert open_sided.to_mm(SKY)[0][:2] == [-100.0, -100.0]
    for one_sided in (
        open_sided.one_sided(),
        open_sided.one_sided([(50.0, 200.0), (60.0, 180.0)]),
        Geometry(-OBLIQUE).one_sided([(50.0, 200.0)]),
        Geometry(-OBLIQUE, Lens(400.0, 400.0, 320.0, 240.0)).one_sided(),
    ):
        mean, jacobian = one_sided.to_mm(SKY)
        assert np.isnan(mean).all()
        assert np.isnan(jacobian).all()
        seen, _ = one_sided.to_mm(FLOOR)
        np.testing.assert_allclose(seen, open_sided.to_mm(FLOOR)[0], rtol=1e-9)
        np.testing.assert_allclose(one_sided.to_px(*seen[:2]), FLOOR[:2], rtol=1e-9)
        assert np.isnan(one_sided.to_px(-100.0, -100.0)).all(), "it lies behind the camera"


def test_what_a_lens_folds_over_has_no_mm() -> None:
    """A radius of 0.8 is shown by no ray of this lens; Newton's method ends somewhere all the same."""
    bent = Geometry(np.eye(3), Lens(400.0, 400.0, 320.0, 240.0, k1=-0.5))
    folded, inside = [320.0 + 0.8 * 400.0, 240.0, 0.0, 0.0], [400.0, 300.0, 1.0, 2.0]
    assert np.isfinite(bent.to_mm(folded)[0]).all()
    assert np.isnan(bent.one_sided().to_mm(folded)[0]).all()
    assert bent.one_sided().to_mm(inside)[0] == bent.to_mm(inside)[0]


def test_a_camera_that_looks_at_the_sky_is_told_of() -> None:
    geometries = {"top": Geometry(OBLIQUE).one_sided()}

    def told(height: int, name: str = "top") -> list[str]:
        return horizon_warnings(geometries, [CameraInfo(name, "simulated", "", 640, height, 1, 30.0)])

    (warning,) = told(150)
    assert "camera 'top': the middle of its frame lies beyond the horizon of its `geometry`" in warning
    assert told(480) == told(150, "side") == []


def test_a_zone_that_the_camera_cannot_see_is_not_drawn() -> None:
    zones = {
        "floor": ZoneConfig(circle=[50.0, 200.0, 10.0], unit="mm"),
        "behind": ZoneConfig(point=[-100.0, -100.0], unit="mm"),
    }
    assert list(place_zones(zones, Geometry(OBLIQUE))) == ["floor"]
