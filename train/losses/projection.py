"""Calibrated cameras in torch: rays, places in space and pixels again, with gradients.

The camera model is that of `rt_pose.views.camera`. Everything is in float64: places are found to a part of a
pixel in units that the calibration chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from rt_pose.views.camera import UNDISTORT_STEPS, UNDISTORT_TOLERANCE, CalibratedCamera

LEAST_ANGLE_DEG = 1.0
"""Rays of which no two are further apart than this meet nowhere that could be told."""
NEAREST = 0.01
"""What is nearer to a camera than this share of the cameras' largest distance from each other is not seen."""


@dataclass(frozen=True)
class Cameras:
    """V calibrated cameras, float64."""

    rotation: Tensor
    """(V, 3, 3)."""
    translation: Tensor
    """(V, 3) in the calibration's unit."""
    focal: Tensor
    """(V, 1, 2) px."""
    centre: Tensor
    """(V, 1, 2) px."""
    distortions: Tensor
    """(V, 1, 5) k1, k2, p1, p2, k3."""
    fold2: Tensor
    """(V, 1) squared distance from the axis, focal lengths, beyond which a lens would fold the image back."""
    nearest: Tensor
    """() depth, in the calibration's unit, up to which a place counts as behind a camera."""

    @classmethod
    def of(cls, cameras: Sequence[CalibratedCamera]) -> Cameras:
        """Take over cameras.

        Parameters
        ----------
        cameras
            V of them, at different places.
        """
        places = np.stack([camera.position for camera in cameras])
        span = np.linalg.norm(places[:, None] - places[None], axis=-1).max()
        values = (
            np.stack([camera.rotation_matrix for camera in cameras]),
            np.stack([camera.translation for camera in cameras]),
            np.stack([camera.focal for camera in cameras])[:, None],
            np.stack([camera.centre for camera in cameras])[:, None],
            np.stack([camera.distortions for camera in cameras])[:, None],
            np.array([[camera.fold2] for camera in cameras]),
            np.array(NEAREST * span),
        )
        return cls(*(torch.from_numpy(np.asarray(value, np.float64)) for value in values))

    def to(self, device: torch.device) -> Cameras:
        """Return them on a device.

        Parameters
        ----------
        device
            The device.
        """
        return Cameras(*(getattr(self, field.name).to(device) for field in fields(self)))

    def undistort(self, px: Tensor) -> tuple[Tensor, Tensor]:
        """Find the directions in which pixels look.

        Parameters
        ----------
        px
            (V, n, 2) px, finite.

        Returns
        -------
        ideal : Tensor
            (V, n, 2) x / z and y / z as the cameras see them; gradients flow through.
        found : Tensor
            Booleans (V, n): false, with a direction of 0 and no gradient, where the lens shows no such pixel.

        Notes
        -----
        Newton's method without gradient; its last step, from the root, has that of the inverse function.
        """
        goal = (px - self.centre) / self.focal
        with torch.no_grad():
            root = goal
            for _ in range(UNDISTORT_STEPS):
                seen, bend = _distort(root, self.distortions)
                root = root + _solved(bend, goal - seen)
            off = (_distort(root, self.distortions)[0] - goal).abs().amax(dim=-1)
            found = (off < UNDISTORT_TOLERANCE) & (root.square().sum(dim=-1) < self.fold2)
            root = torch.where(found[..., None], root, 0.0)  # also of what is no number
            seen, bend = _distort(root, self.distortions)
        goal = torch.where(found[..., None], goal, seen)
        return root + _solved(bend, goal - seen), found

    def project(self, xyz: Tensor) -> tuple[Tensor, Tensor]:
        """Find the pixels at which places are seen.

        Parameters
        ----------
        xyz
            (n, 3) in the calibration's unit.

        Returns
        -------
        px : Tensor
            (V, n, 2) px; gradients flow through.
        seen : Tensor
            Booleans (V, n): false, with the centre of the image and no gradient, where a place lies behind a
            camera or outside of what its lens can show.
        """
        local = xyz @ self.rotation.transpose(1, 2) + self.translation[:, None]  # (V, n, 3)
        ahead = local[..., 2] > self.nearest
        ideal = local[..., :2] / torch.where(ahead, local[..., 2], 1.0)[..., None]
        seen = ahead & (ideal.detach().square().sum(dim=-1) < self.fold2)
        ideal = torch.where(seen[..., None], ideal, 0.0)
        return _distort(ideal, self.distortions)[0] * self.focal + self.centre, seen

    def depth(self, xyz: Tensor) -> Tensor:
        """Return how far ahead of the cameras places are.

        Parameters
        ----------
        xyz
            (n, 3) in the calibration's unit.

        Returns
        -------
        Tensor
            (V, n).
        """
        return torch.einsum("vi,ni->vn", self.rotation[:, 2], xyz) + self.translation[:, 2, None]

    def triangulate(self, ideal: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Find the places where rays meet best.

        Parameters
        ----------
        ideal
            (V, n, 2) directions of the rays, x / z and y / z as the cameras see them.
        weight
            (V, n) what the squared error of each counts, without gradient; 0 leaves it out.

        Returns
        -------
        xyz : Tensor
            (n, 3) in the calibration's unit; gradients flow through.
        placed : Tensor
            Booleans (n,): false, with a place of 0 and no gradient, where fewer than two rays count, where
            they are parallel, or where they meet behind a camera.

        Notes
        -----
        Hartley, R. and Sturm, P. (1997), "Triangulation": the linear solution, then once more with each ray's
        equations divided by the depth that was found, by which errors are those in px of an ideal lens.
        """
        used = weight > 0
        placed = self._apart(ideal.detach(), used)
        root = weight.sqrt()[..., None] * self.focal  # (V, n, 2)
        turn, shift = self.rotation[:, None], self.translation[:, None]
        rows = ideal[..., None] * turn[..., 2:, :] - turn[..., :2, :]  # (V, n, 2, 3)
        right = shift[..., :2] - ideal * shift[..., 2:]  # (V, n, 2)
        xyz = _least_squares(root[..., None] * rows, root * right, placed)
        depth = self.depth(xyz)
        placed = placed & ((depth > self.nearest) | ~used).all(dim=0)
        near = root / torch.where(used & placed, depth, 1.0)[..., None]
        return _least_squares(near[..., None] * rows, near * right, placed), placed

    def _apart(self, ideal: Tensor, used: Tensor) -> Tensor:
        """Whether two of the rays that count are so far apart that they meet somewhere, (n,)."""
        rays = torch.cat([ideal, torch.ones_like(ideal[..., :1])], dim=-1) @ self.rotation
        rays = rays / torch.linalg.vector_norm(rays, dim=-1, keepdim=True)
        sine2 = 1 - torch.einsum("vni,wni->vwn", rays, rays).square()
        both = used[:, None] & used[None]
        return ((sine2 > np.sin(np.radians(LEAST_ANGLE_DEG)) ** 2) & both).flatten(0, 1).any(dim=0)


def _distort(ideal: Tensor, distortions: Tensor) -> tuple[Tensor, Tensor]:
    """Where a lens shows directions (..., 2), and the derivative (..., 2, 2): as `rt_pose.views.camera`."""
    u, v = ideal.unbind(-1)
    k1, k2, p1, p2, k3 = distortions.unbind(-1)
    r2 = u * u + v * v
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)  # d radial / d r2
    x = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
    y = v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
    cross = 2 * u * v * slope + 2 * p1 * u + 2 * p2 * v
    along_u = radial + 2 * u * u * slope + 2 * p1 * v + 6 * p2 * u
    along_v = radial + 2 * v * v * slope + 6 * p1 * v + 2 * p2 * u
    bend = torch.stack([torch.stack([along_u, cross], dim=-1), torch.stack([cross, along_v], dim=-1)], dim=-2)
    return torch.stack([x, y], dim=-1), bend


def _solved(bend: Tensor, right: Tensor) -> Tensor:
    """The solution (..., 2) of equations (..., 2, 2): closed, for a singular one must not raise."""
    (a, b), (c, d) = (row.unbind(-1) for row in bend.unbind(-2))
    x, y = right.unbind(-1)
    return torch.stack([d * x - b * y, a * y - c * x], dim=-1) / (a * d - b * c)[..., None]


def _least_squares(rows: Tensor, right: Tensor, placed: Tensor) -> Tensor:
    """The solutions (n, 3) of the equations (V, n, 2, 3) of all rays; 0 where a point is not placed."""
    matrix = torch.einsum("vnai,vnaj->nij", rows, rows)
    vector = torch.einsum("vnai,vna->ni", rows, right)
    regular = torch.eye(3, dtype=rows.dtype, device=rows.device)
    matrix = torch.where(placed[:, None, None], matrix, regular)
    vector = torch.where(placed[:, None], vector, 0.0)
    return torch.linalg.solve(matrix, vector)
