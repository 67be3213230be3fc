"""Random disturbances of a process, each with a generator of its own."""

from __future__ import annotations

import hashlib
import math

import numpy as np

__all__ = ["Lag", "Noise", "generator"]


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and a name, and on nothing else.

    Adding a sensor to the line changes no value of another one.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "big")])


class Noise:
    """A slow, mean-reverting disturbance (Ornstein-Uhlenbeck process, exact at any time step).

    Args:
        rng: Source of its randomness.
        sigma: Standard deviation over a long time, > 0.
        tau_s: Correlation time, s, > 0.
    """

    def __init__(self, rng: np.random.Generator, sigma: float, tau_s: float) -> None:
        self._rng, self._sigma, self._tau = rng, sigma, tau_s
        self._time_s = 0.0
        self._value = sigma * float(rng.standard_normal())

    def at(self, time_s: float) -> float:
        """Value at a time that is not before the one asked for last."""
        step = time_s - self._time_s
        if step > 0:
            keep = math.exp(-step / self._tau)
            fresh = self._sigma * math.sqrt(1.0 - keep * keep)
            self._value = keep * self._value + fresh * float(self._rng.standard_normal())
            self._time_s = time_s
        return self._value


class Lag:
    """Follows a target with a time constant, as air and steel do.

    Args:
        tau_s: Time constant, s, > 0.
        value: Where it begins.
    """

    def __init__(self, tau_s: float, value: float = 0.0) -> None:
        self._tau, self.value, self._time_s = tau_s, value, 0.0

    def at(self, time_s: float, target: float) -> float:
        """Value at a time, drawn towards the target since the last call."""
        step = max(0.0, time_s - self._time_s)
        self.value += (target - self.value) * -math.expm1(-step / self._tau)
        self._time_s = time_s
        return self.value
