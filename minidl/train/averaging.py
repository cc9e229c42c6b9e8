"""An average of the weights that grows while a network trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidl.optim.swa_utils import AveragedModel
from minidl.train.callbacks import Callback

if TYPE_CHECKING:
    from minidl.train.trainer import Trainer

__all__ = ["Averaging"]


class Averaging(Callback):
    """Keep an average of the model's weights while it trains; checkpoints hold it too.

    ```python
    averaged = AveragedModel(model, avg_fn=get_ema_avg_fn(0.99))
    Trainer(model, loss, optimizer, callbacks=[Averaging(averaged), Checkpoint("run/last")]).fit(loader)
    ```

    Args:
        averaged: the average, of the trainer's model.
        every: `"step"` takes the weights after every step, as a moving average wants them; `"epoch"` after
            every epoch, as the plain mean does.
        start_epoch: how many epochs to let pass first.

    Raises:
        ValueError: `every` is neither.
        TypeError: no `AveragedModel`.
    """

    def __init__(self, averaged: AveragedModel, every: str = "step", start_epoch: int = 0) -> None:
        if not isinstance(averaged, AveragedModel):
            raise TypeError(f"Averaging: expected an AveragedModel, got {type(averaged).__name__}")
        if every not in ("step", "epoch"):
            raise ValueError(f"Averaging: expected every to be 'step' or 'epoch', got {every!r}")
        self.averaged = averaged
        self.every = every
        self.start_epoch = start_epoch

    def on_step_end(self, trainer: Trainer) -> None:  # noqa: D102
        if self.every == "step" and trainer.epoch >= self.start_epoch:
            self.averaged.update_parameters(trainer.model)

    def on_epoch_end(self, trainer: Trainer) -> None:  # noqa: D102
        if self.every == "epoch" and trainer.epoch > self.start_epoch:
            self.averaged.update_parameters(trainer.model)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return self.averaged.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self.averaged.load_state_dict(state)
