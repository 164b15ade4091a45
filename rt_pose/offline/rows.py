"""Forward and backward over a whole recording: the tracking model's smoother for any linear observation.

What is seen at a frame enters as rows, scalar observations z = h' x + noise of variance r with independent
noises, one after the other; a row that was not seen has infinite r and weighs nothing. The backward pass is
the modified Bryson-Frazier form of the Rauch-Tung-Striebel smoother (Bierman 1973): the same means and
covariances, but no matrix is inverted, so that everything stays elementwise over the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rt_pose.tracking.kalman import Transition, propagate, transition
from rt_pose.types import FloatArray

UNKNOWN_PX2 = 1e8
"""Variance of a position before anything was seen of it."""


@dataclass(slots=True)
class ObservationRows:
    """The observations of F frames, R rows each, for d positions and a batch B."""

    h: FloatArray
    """(F or 1, R, d, *B)."""
    z: FloatArray
    """(F, R, *B), finite also where nothing was seen."""
    r: FloatArray
    """(F, R, *B) variance; infinite where nothing was seen."""

    def at(self, t: int) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Select the rows of a frame.

        Parameters
        ----------
        t
            Number of the frame, from 0.

        Returns
        -------
        Iterator[tuple[FloatArray, FloatArray, FloatArray]]
            (h, z, r) of each row.
        """
        h = self.h[t if len(self.h) > 1 else 0]
        return zip(h, self.z[t], self.r[t], strict=True)


@dataclass(slots=True)
class MotionModel:
    """The movement, and what is known before the first frame."""

    dt_s: FloatArray
    """(F,) since the frame before; the first is not used."""
    q: FloatArray
    """(*B), or (d, *B) where the axes differ; px^2/s^3."""
    tau: FloatArray
    """As `q`; s."""
    start: FloatArray
    """(d, *B) positions before the first frame, of variance UNKNOWN_PX2."""

    def steps(self) -> list[Transition | None]:
        """Compute the transition into each frame; equal time steps share one.

        Returns
        -------
        list[Transition | None]
            F transitions, None for the first frame.
        """
        known: dict[float, Transition] = {}
        steps: list[Transition | None] = [None]
        for dt in self.dt_s[1:].tolist():
            if dt not in known:
                known[dt] = transition(dt, self.q, self.tau)
            steps.append(known[dt])
        return steps

    def prior(self) -> tuple[FloatArray, FloatArray]:
        """Make the state before the first frame: position unknown, velocity as it is at rest.

        Returns
        -------
        tuple[FloatArray, FloatArray]
            Mean (2 d, *B) and covariance (2 d, 2 d, *B).
        """
        d, batch = len(self.start), self.start.shape[1:]
        mean = np.zeros((2 * d, *batch))
        mean[:d] = self.start
        cov = np.zeros((2 * d, 2 * d, *batch))
        speed2 = np.broadcast_to(0.5 * self.q * self.tau, self.start.shape)
        for i in range(d):
            cov[i, i] = UNKNOWN_PX2
            cov[d + i, d + i] = speed2[i]
        return mean, cov


def log_likelihood(model: MotionModel, rows: ObservationRows) -> FloatArray:
    """Compute the log likelihood of the rows under the filter.

    Parameters
    ----------
    model
        The movement.
    rows
        The observations; unseen ones do not count.

    Returns
    -------
    FloatArray
        (*B), up to the constant of 2 pi.
    """
    mean, cov = model.prior()
    total = np.zeros(model.start.shape[1:])
    for t, step in enumerate(model.steps()):
        if step is not None:
            propagate(mean, cov, step)
        for h, z, r in rows.at(t):
            _, e, s = _update(mean, cov, h, z, r)
            seen = np.isfinite(r)
            total -= np.where(seen, np.log(np.where(seen, s, 1.0)) + e * e / s, 0.0)
    return 0.5 * total


def smooth(model: MotionModel, rows: ObservationRows) -> tuple[FloatArray, FloatArray]:
    """Estimate every frame given all frames.

    Parameters
    ----------
    model
        The movement.
    rows
        The observations.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Means (F, 2 d, *B) and covariances (F, 2 d, 2 d, *B).

    Notes
    -----
    The backward pass is the modified Bryson-Frazier form of the Rauch-Tung-Striebel smoother (Bierman 1973).
    """
    frames, count = rows.z.shape[:2]
    mean, cov = model.prior()
    n, batch = len(mean), mean.shape[1:]
    means, covs = np.empty((frames, n, *batch)), np.empty((frames, n, n, *batch))
    gains = np.empty((frames, count, n, *batch))
    pulls, informations = np.empty((frames, count, *batch)), np.empty((frames, count, *batch))
    steps = model.steps()
    for t, step in enumerate(steps):
        if step is not None:
            propagate(mean, cov, step)
        for i, (h, z, r) in enumerate(rows.at(t)):
            gains[t, i], e, s = _update(mean, cov, h, z, r)
            informations[t, i] = 1.0 / s
            pulls[t, i] = e / s
        means[t], covs[t] = mean, cov
    adjoints, weights = _backward(steps, rows, gains, pulls, informations)
    return _combine(means, covs, adjoints, weights)


def _update(
    mean: FloatArray, cov: FloatArray, h: FloatArray, z: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One row, in place; its gain (n, *B), innovation and innovation variance (*B)."""
    ph, hx = cov[:, 0] * h[0], mean[0] * h[0]
    for i in range(1, len(h)):
        ph += cov[:, i] * h[i]
        hx += mean[i] * h[i]
    s = ph[0] * h[0] + r
    for i in range(1, len(h)):
        s += ph[i] * h[i]
    gain = ph / s
    e = z - hx
    mean += gain * e
    cov -= gain[:, None] * ph
    return gain, e, s


def _backward(
    steps: list[Transition | None],
    rows: ObservationRows,
    gains: FloatArray,
    pulls: FloatArray,
    informations: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The information of all later frames about each filtered one: adjoint means and covariances."""
    frames, count, n = gains.shape[:3]
    d, batch = n // 2, gains.shape[3:]
    mean, cov = np.zeros((n, *batch)), np.zeros((n, n, *batch))
    means, covs = np.empty((frames, *mean.shape)), np.empty((frames, *cov.shape))
    for t in range(frames - 1, -1, -1):
        means[t], covs[t] = mean, cov
        h_t = rows.h[t if len(rows.h) > 1 else 0]
        for i in range(count - 1, -1, -1):
            h, gain = h_t[i], gains[t, i]
            mean[:d] -= h * (_dot(gain, mean) + pulls[t, i])
            w = cov[:, 0] * gain[0]
            for j in range(1, n):
                w += cov[:, j] * gain[j]
            c = _dot(gain, w) + informations[t, i]
            cov[:d] -= h[:, None] * w
            cov[:, :d] -= w[:, None] * h
            cov[:d, :d] += c * (h[:, None] * h)
        step = steps[t]
        if step is not None:
            mean[d:] *= step.a
            mean[d:] += step.b * mean[:d]
            a, b = (step.a[:, None], step.b[:, None]) if step.a.ndim == mean.ndim else (step.a, step.b)
            cov[d:] *= a
            cov[d:] += b * cov[:d]
            cov[:, d:] *= step.a
            cov[:, d:] += step.b * cov[:, :d]
    return means, covs


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    total = a[0] * b[0]
    for i in range(1, len(a)):
        total += a[i] * b[i]
    return total


def _combine(
    means: FloatArray, covs: FloatArray, adjoints: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Filtered moments and adjoints, all frames at once, to smoothed moments; in place of the filtered."""
    covs += covs.swapaxes(1, 2).copy()
    covs *= 0.5
    means -= np.einsum("tij...,tj...->ti...", covs, adjoints)
    half = np.einsum("tij...,tjk...->tik...", covs, weights)
    covs -= np.einsum("tij...,tjk...->tik...", half, covs)
    covs += covs.swapaxes(1, 2).copy()
    covs *= 0.5
    return means, covs
