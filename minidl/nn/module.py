"""Module: what every layer, loss and network is. It holds parameters, runs forward, and runs back.

What it holds, checks, saves and switches stands in the four files beside this one, `module_*.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from minidl.array import Array
from minidl.errors import BackwardError, ShapeError
from minidl.nn.module_modes import Memory, Modes
from minidl.nn.module_state import IncompatibleKeys, State
from minidl.nn.module_tree import check_free

__all__ = ["IncompatibleKeys", "Module", "check_free", "watch_forward"]


class Module(State, Modes):
    """The base of every layer, loss and network.

    A subclass writes two methods that mirror each other: `forward`, which computes and `remember`s what
    its derivative will need, and `backward`, which `recall`s it, adds to each `parameter.grad`, and
    returns one gradient per array input. Parameters, buffers and submodules are plain attributes;
    whatever is assigned in `__init__` is found, in that order.

    A frozen parameter (`requires_grad = False`) collects no gradient. Arguments are never changed and
    results share no memory with them. What is remembered may be the input itself: do not change it in
    place between forward and backward. A module remembers one forward at a time, so a layer that is to be
    used twice in a network is two layers that share their parameters.
    """

    _input_grad: bool = True  # no_input_grad() switches it off in the layer that meets the data
    _first_input_only: ClassVar[bool] = False  # a loss gives no gradient of its target

    # ---------------------------------------------------------------- forward and backward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run `forward`, and tell every watcher that `watch_forward` added."""
        output = self.forward(*inputs, **options)
        for watcher in _watchers:
            watcher(self, inputs, output)
        return output

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output, and `remember` what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def backward(self, dy: Any) -> Any:
        """Turn the gradient of the output into the gradient of the input; fill `parameter.grad`."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward()")

    def remember(self, *saved: Any, output: Array) -> None:
        """Keep what `backward` needs, with the output's shape and dtype; in `eval()`, keep nothing."""
        keep = self.training or self._remembering
        self._memory = Memory(output.shape, output.dtype, saved, self._alone) if keep else None

    def recall(self, dy: Array) -> tuple[Any, ...]:
        """Take back what `forward` remembered, after `dy` itself in the output's dtype, and let go of it.

        Raises:
            BackwardError: there was no forward to go back through.
            ShapeError: `dy` does not have the shape of the output.
        """
        memory = self._memory
        if memory is None:
            why = (
                "there is no forward() to go back through; call it again before each backward()"
                if self.training or self._remembering
                else "eval() keeps nothing for it; use train(), or eval(remember=True)"
            )
            raise BackwardError(f"{self.label()}: backward() is not possible now: {why}")
        self.check_array(dy, "upstream gradient", any_number=True)
        shape = memory.shape[1:] if memory.alone else memory.shape
        if dy.shape != shape:
            raise ShapeError(
                f"{self.label()}: expected an upstream gradient of shape {shape}, "
                f"like the output's, got {dy.shape}"
            )
        self._memory = None
        if self._alone != memory.alone:  # a later input was refused
            self._alone = memory.alone
        dy = dy.astype(memory.dtype, copy=False)
        return dy[None] if memory.alone else dy, *memory.saved

    def forget(self) -> None:
        """Let go of what forward remembered, here and in all modules below."""
        for module in self.modules():
            module._memory = None

    @contextmanager
    def no_input_grad(self) -> Iterator[Self]:
        """For one block, `backward` need not compute the gradient of the network's own input.

        Nobody changes the data to lower the loss, so in training this gradient is computed and thrown
        away; PyTorch leaves it out unless `x.requires_grad` is set. Inside the block `backward` returns
        None where that saves work: a network whose first layer with parameters is a Linear or a convolution,
        and a Sequential that begins with frozen layers, which then do not run back at all.
        """
        layer = self._data_layer()
        if layer is None:
            yield self
            return
        before, layer._input_grad = layer._input_grad, False
        try:
            yield self
        finally:
            layer._input_grad = before

    def _data_layer(self) -> Module | None:
        """The layer that alone meets the network's input and can leave out its gradient, if there is one."""
        return None

    def _multiply_adds(self, inputs: tuple[Any, ...], output: Any) -> int:
        """How many times a forward multiplied by a weight and added, without the modules below."""
        return 0

    # ---------------------------------------------------------------- how it looks

    def extra_repr(self) -> str:
        """The constructor's arguments, as `repr` shows them between the brackets."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        body = "\n".join([self.extra_repr(), *children]).strip().replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"

    def summary(self, input_shape: tuple[int, ...] | None = None) -> None:
        """Print the table of layers, output shapes, parameters and multiply-adds.

        Args:
            input_shape: the shape of one batch, such as `(1, 1, 28, 28)`; without it the columns of
                output shapes and multiply-adds are left out.
        """
        from minidl.nn.summary import summary_table

        print(summary_table(self, input_shape))


Watcher = Callable[[Module, tuple[Any, ...], Any], None]
_watchers: list[Watcher] = []


@contextmanager
def watch_forward(watcher: Watcher, alone: bool = False) -> Iterator[None]:
    """Call `watcher(module, inputs, output)` after every module's forward, while the block runs.

    This is how `summary` learns shapes and how the trainer finds the layer that made a NaN.

    Args:
        watcher: must not change what it sees.
        alone: nobody else is told meanwhile, as of a forward that is run once more only to look at it.
    """
    others = _watchers[:] if alone else []
    for other in others:
        _watchers.remove(other)
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
        _watchers[:0] = others
