"""Shapes of values for which probabilities have a closed form."""

from __future__ import annotations

from dataclasses import dataclass

Component = tuple[int, int]
"""(slot, which of x, y, vx, vy; in space of x, y, z, vx, vy, vz)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of coordinates and velocities: `x(nose) - 2 * x(tail) + 5`."""

    weights: dict[Component, float]
    constant: float = 0.0

    def plus(self, other: Linear, sign: float = 1.0) -> Linear:
        """Add another form, or subtract it.

        Parameters
        ----------
        other
            The other form.
        sign
            Its factor: 1 for the sum, -1 for the difference.

        Returns
        -------
        Linear
            The new form.
        """
        weights = dict(self.weights)
        for component, weight in other.weights.items():
            weights[component] = weights.get(component, 0.0) + sign * weight
        return Linear(weights, self.constant + sign * other.constant)

    def scaled(self, factor: float) -> Linear:
        """Multiply by a number.

        Parameters
        ----------
        factor
            The number.

        Returns
        -------
        Linear
            The new form.
        """
        return Linear({c: w * factor for c, w in self.weights.items()}, self.constant * factor)


@dataclass(frozen=True, slots=True)
class Radial:
    """The length of a vector whose parts are linear: a speed, a distance."""

    x: Linear
    y: Linear
    z: Linear | None = None
    """In space."""

    @property
    def parts(self) -> tuple[Linear, ...]:
        """Its two parts, in space three."""
        return (self.x, self.y) if self.z is None else (self.x, self.y, self.z)


Form = Linear | Radial
