"""Schedules along a cosine: slow at first, fast in the middle, slow at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidl.optim.lr_scheduler.base import LRScheduler, check_whole
from minidl.optim.optimizer import Optimizer, check_number

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """Lower the rate along half a cosine, from `base_lr` at epoch 0 to `eta_min` at epoch `T_max`.

    ```
    lr(t) = eta_min + (base_lr − eta_min) (1 + cos(π t / T_max)) / 2
    ```

    It is computed from the rate of the epoch before, by the quotient of the two cosines, so that a change
    by somebody else (a second schedule, say) stays. After `T_max` the rate rises again.
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", without restarts.

    Args:
        optimizer: whose rates to set.
        T_max: epochs from the highest rate to the lowest.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: `T_max` is no whole number of at least 1, or `eta_min` is below 0.
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.check_options({"T_max": T_max, "eta_min": eta_min})
        self.T_max = T_max
        self.eta_min = float(eta_min)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_whole(self._name, "T_max", options["T_max"], at_least=1)
        check_number(self._name, "eta_min", options["eta_min"], at_least=0)

    def first_lr(self) -> list[float]:
        return self.current_lr()  # PyTorch takes the loaded rate as that of the epoch it starts with

    def get_lr(self) -> list[float]:
        t, low = self.last_epoch, self.eta_min
        if (t - 1) % (2 * self.T_max) == self.T_max:
            # The epoch before was at the bottom, where no quotient can lift it: add the curve's first rise.
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                lr + (base - low) * rise for base, lr in zip(self.base_lrs, self.current_lr(), strict=True)
            ]
        before, now = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (t - 1, t))
        return [now / before * (lr - low) + low for lr in self.current_lr()]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lower the rate along half a cosine, jump back to the top, and again, each time for longer.

    ```
    lr = eta_min + (base_lr − eta_min) (1 + cos(π T_cur / T_i)) / 2
    ```

    `T_cur` counts epochs since the last restart, and `T_i` is how many lie between that and the next: `T_0`
    at first, then `T_mult` times as many after each. A change by somebody else does not stay.
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts".

    Args:
        optimizer: whose rates to set.
        T_0: epochs before the first restart.
        T_mult: by how much each stretch is longer than the one before.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`. Where `T_mult` is above 1, PyTorch then goes on in the first stretch,
            however long ago that was; minidl goes on in the right one.

    Attributes:
        T_cur: epochs since the last restart.
        T_i: epochs from the last restart to the next.

    Raises:
        ValueError: `T_0` or `T_mult` is no whole number of at least 1, or `eta_min` is below 0.
    """

    T_0: int
    T_mult: int
    eta_min: float
    T_cur: float
    T_i: int

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.check_options({"T_0": T_0, "T_mult": T_mult, "eta_min": eta_min, "T_cur": 0, "T_i": T_0})
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = float(eta_min)
        check_whole(self._name, "last_epoch", last_epoch, at_least=-1)
        self._go_to(last_epoch + 1)
        super().__init__(optimizer, last_epoch)

    def check_options(self, options: Mapping[str, Any]) -> None:
        for name in ("T_0", "T_mult", "T_i"):
            check_whole(self._name, name, options[name], at_least=1)
        for name in ("eta_min", "T_cur"):
            check_number(self._name, name, options[name], at_least=0)

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to the epoch given, which may be a fraction.

        `step(epoch + i / batches)` after each batch lowers the rate within the epochs too.

        Raises:
            ValueError: a negative epoch; or other groups than when the scheduler was made.
        """
        self._check_groups()
        if epoch is None:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            check_number(self._name, "epoch", epoch, at_least=0)
            self.last_epoch = math.floor(epoch)
            self._go_to(epoch)
        self._set(self.get_lr())

    def _go_to(self, epoch: float) -> None:
        self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult

    def restart(self) -> None:
        self._go_to(0)
        super().restart()

    def first_lr(self) -> list[float]:
        return self.get_lr()

    def get_lr(self) -> list[float]:
        part = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * part for base in self.base_lrs]
