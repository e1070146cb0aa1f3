"""Predict and update many tracks at once: Kalman filters that carry their doubts.

State: east, north (metres) and their rates on a local plane; constant velocity with
white acceleration noise. A camera's boresight, sea level and refraction are wrong in
the same way at every look. They are *considered* (Schmidt): each track carries its
correlation with every camera's two unit errors (azimuth, elevation), so that a hundred
looks make a sharp velocity and leave the place as doubtful as the camera's pose.

Source: S. F. Schmidt (1966), in Blackman & Popoli (1999); docs/design/tracking.md.
"""

from dataclasses import dataclass

import numpy as np

from almenara.geo.sea_surface import FloatArray

DRIFTING_Q = 0.05
"""Spectral density of acceleration, m²/s³, of what drifts or keeps its course."""

MANOEUVRING_Q = 4.0
"""Likewise of what turns: 2 m/s² at one look a second."""

BIAS_MEMORY_S = 3600.0
"""After an hour tide and refraction are others than they were."""


@dataclass(slots=True, eq=False)
class Belief:
    """The state of one track; arrays are replaced, never written to."""

    x: FloatArray
    """Shape (4,): east, north, east rate, north rate."""

    cov: FloatArray
    """Shape (4, 4)."""

    cross: FloatArray
    """Shape (4, m): covariance with the unit errors of all cameras."""


def step(dt_s: FloatArray) -> FloatArray:
    """Transition matrices for each interval, shape (n, 4, 4)."""
    result = np.tile(np.eye(4), (len(dt_s), 1, 1))
    result[:, 0, 2] = result[:, 1, 3] = dt_s
    return result


def noise(dt_s: FloatArray, q: FloatArray) -> FloatArray:
    """Process noise of each interval, shape (n, 4, 4); backwards as forwards."""
    dt = np.abs(dt_s)
    result = np.zeros((len(dt), 4, 4))
    for place, rate in ((0, 2), (1, 3)):
        result[:, place, place] = q * dt**3 / 3
        result[:, place, rate] = result[:, rate, place] = q * dt**2 / 2 * np.sign(dt_s)
        result[:, rate, rate] = q * dt
    return result


def predict(
    x: FloatArray, cov: FloatArray, dt_s: FloatArray, q: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """States (n, 4) and covariances (n, 4, 4) after each interval (n,)."""
    f = step(dt_s)
    moved = np.einsum("nij,nj->ni", f, x)
    spread = f @ cov @ f.transpose(0, 2, 1) + noise(dt_s, q)
    return moved, spread


def carry(cross: FloatArray, dt_s: float) -> FloatArray:
    """Cross covariance (4, m) after an interval: moved, and slowly forgotten."""
    moved: FloatArray = step(np.array([dt_s]))[0] @ cross
    result: FloatArray = moved * np.exp(-abs(dt_s) / BIAS_MEMORY_S)
    return result


def carry_many(cross: FloatArray, dt_s: FloatArray) -> FloatArray:
    """:func:`carry` of n cross covariances (n, 4, m), each after its own interval."""
    result = cross.copy()
    result[:, :2] += dt_s[:, None, None] * cross[:, 2:]
    result *= np.exp(-np.abs(dt_s) / BIAS_MEMORY_S)[:, None, None]
    return result


def update_many(
    beliefs: tuple[FloatArray, FloatArray, FloatArray],
    innovation: FloatArray,
    h: FloatArray,
    s: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One measurement of two rows for each of n tracks, without common errors.

    Args:
        beliefs: States (n, 4), covariances (n, 4, 4), cross covariances (n, 4, m).
        innovation: Measured minus predicted, shape (n, 2).
        h: Jacobians with east and north, shape (n, 2, 2).
        s: Covariances of the innovations, shape (n, 2, 2).

    Returns:
        The same three, after.
    """
    x, cov, cross = beliefs
    gain = cov[:, :, :2] @ h.transpose(0, 2, 1) @ np.linalg.inv(s)
    after = cov - gain @ s @ gain.transpose(0, 2, 1)
    return (
        x + (gain @ innovation[:, :, None])[:, :, 0],
        (after + after.transpose(0, 2, 1)) / 2,
        cross - gain @ (h @ cross[:, :2]),
    )


def update(
    belief: Belief,
    innovation: FloatArray,
    h: FloatArray,
    r: FloatArray,
    *,
    h_bias: FloatArray | None = None,
) -> Belief:
    """One measurement of k rows.

    Args:
        belief: Before.
        innovation: Measured minus predicted, shape (k,).
        h: Jacobian, shape (k, 4).
        r: Noise that is new at every look, shape (k, k).
        h_bias: How each unit error of the cameras enters, shape (k, m); None for none.
    """
    to_state = belief.cov @ h.T
    to_bias = h @ belief.cross
    if h_bias is not None:
        to_state = to_state + belief.cross @ h_bias.T
        to_bias = to_bias + h_bias
    s = h @ to_state + r
    if h_bias is not None:
        s = s + h_bias @ belief.cross.T @ h.T + h_bias @ h_bias.T
    gain = np.linalg.solve(s, to_state.T).T
    cov = belief.cov - gain @ s @ gain.T
    return Belief(
        x=belief.x + gain @ innovation,
        cov=(cov + cov.T) / 2,
        cross=belief.cross - gain @ to_bias,
    )
