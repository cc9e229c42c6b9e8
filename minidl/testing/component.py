"""One check for every component: what any layer, loss or network must do, whoever wrote it.

A `Sample` says how to build a component and what to feed it. `check_component` puts it through all of
`CHECKS`; each check is a function of one sample that raises AssertionError when its promise is broken.
They are public, so that a layer of your own can be put through them too:

```python
check_component(Sample(lambda: MyLayer(3), lambda rng, n: (rng.standard_normal((n, 3)),)))
```
"""

from __future__ import annotations

from collections.abc import Callable

from minidl.testing.component_agreement import check_backends, check_device, check_torch
from minidl.testing.component_gradients import (
    check_dtypes,
    check_errors,
    check_gradients,
    check_gradients_in_eval,
    check_memory_layouts,
    check_small_batches,
)
from minidl.testing.component_state import (
    check_copies,
    check_extremes,
    check_frozen_parameters,
    check_modes,
    check_order_of_calls,
    check_purity,
    check_seeds,
    check_state_dict,
)
from minidl.testing.sample import Sample, Wrong

__all__ = ["CHECKS", "Sample", "Wrong", "check_component"]


def check_component(sample: Sample) -> None:
    """Put a component through every check.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    for check in CHECKS.values():
        check(sample)


CHECKS: dict[str, Callable[[Sample], object]] = {
    "gradients": check_gradients,
    "gradients in eval": check_gradients_in_eval,
    "memory layouts": check_memory_layouts,
    "small batches": check_small_batches,
    "dtypes": check_dtypes,
    "errors": check_errors,
    "purity": check_purity,
    "seeds": check_seeds,
    "modes": check_modes,
    "state dict": check_state_dict,
    "copies": check_copies,
    "order of calls": check_order_of_calls,
    "frozen parameters": check_frozen_parameters,
    "extremes": check_extremes,
    "torch": check_torch,
    "backends": check_backends,
    "device": check_device,
}
"""Every check by name; those of gradients return what they found."""
