"""The one random generator: everything random in minidl draws from it, unless it is given its own `rng=`.

`np.random`'s hidden global state is never touched, so seeding minidl does not reseed anybody else, and
nobody else's `np.random.seed` changes a run of minidl.
"""

import copy
from typing import Any

import numpy as np

__all__ = ["default_generator", "get_rng_state", "manual_seed", "set_rng_state"]

_generator = np.random.Generator(np.random.PCG64())


def default_generator() -> np.random.Generator:
    """The generator that layers, loaders and initialisers use when they get no `rng=`."""
    return _generator


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the one generator: from here on the same calls give the same bits.

    Args:
        seed: any integer ≥ 0.

    Returns:
        The generator, as `torch.manual_seed` does.

    Raises:
        ValueError: `seed` is negative.
        TypeError: `seed` is no integer.
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise TypeError(f"manual_seed: expected an integer, got {seed!r}")
    if seed < 0:
        raise ValueError(f"manual_seed: expected an integer of at least 0, got {seed}")
    _generator.bit_generator.state = np.random.PCG64(int(seed)).state
    return _generator


def get_rng_state() -> dict[str, Any]:
    """A copy of the generator's state: plain numbers and strings that fit into JSON."""
    return copy.deepcopy(dict(_generator.bit_generator.state))


def set_rng_state(state: dict[str, Any]) -> None:
    """Put back a state from `get_rng_state`: the draws that follow are the same again."""
    _generator.bit_generator.state = copy.deepcopy(state)
