"""Module: what every layer, loss and network is. It holds parameters, runs forward, and runs back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from minidl.array import Array, Device, as_like, convert, destination, to_host
from minidl.errors import BackwardError, DTypeError, ShapeError, StateDictError
from minidl.nn.parameter import Parameter

__all__ = ["IncompatibleKeys", "Module", "check_free", "watch_forward"]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Memory(NamedTuple):
    """What `remember` kept for `recall`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    saved: tuple[Any, ...]
    alone: bool = False  # shape has a batch dimension that the input had not


class Module:
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

    training: bool = True
    _remembering: bool = False  # eval() keeps nothing for backward, unless asked
    _memory: Memory | None = None
    _alone: bool = False  # what is worked on is one sample without a batch dimension: `check_batch`
    _input_grad: bool = True  # no_input_grad() switches it off in the layer that meets the data
    _buffer_names: tuple[str, ...] = ()
    _unsaved_names: tuple[str, ...] = ()  # those of them that `state_dict` leaves out
    _sizes: ClassVar[tuple[str, ...]] = ()  # the constructor arguments that name this layer in messages
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

    # ---------------------------------------------------------------- clear errors

    def label(self) -> str:
        """The class and its sizes, as messages name it: `Conv2d(3, 16)`."""
        return f"{type(self).__name__}({', '.join(str(getattr(self, name)) for name in self._sizes)})"

    def check_array(self, x: Any, what: str = "input", any_number: bool = False) -> None:
        """Refuse what is no array of float32 or float64 (with `any_number`: of real numbers).

        Raises:
            DTypeError: it names this module, the dtypes that it takes, and the one it was given.
        """
        if type(x) is np.ndarray and (x.dtype in FLOATS or (any_number and x.dtype.kind in "fiub")):
            return  # the usual case, made short
        masked = isinstance(x, np.ma.MaskedArray)  # its products and sums leave out what is masked
        if masked or not isinstance(getattr(x, "dtype", None), np.dtype):
            raise DTypeError(f"{self.label()}: expected an array as {what}, got {type(x).__name__}")
        if x.dtype not in FLOATS and not (any_number and x.dtype.kind in "fiub"):
            raise DTypeError(f"{self.label()}: expected {what} of dtype float32 or float64, got {x.dtype}")

    def check_input(self, x: Any, *expected: int | str, what: str = "input") -> None:
        """Refuse an input whose shape does not match, such as `("N", 3, "H", "W")`.

        A number must be met, a letter stands for any size, and a leading `"*"` for any dimensions.

        Raises:
            ShapeError: it names this module, the shape that it takes, and the one it was given.
            DTypeError: the input is no array of float32 or float64.
        """
        self.check_array(x, what)
        if not _fits(x.shape, expected):
            raise ShapeError(f"{self.label()}: expected {what} {_named(expected)}, got {x.shape}")

    def check_batch(self, x: Any, *expected: int | str) -> Array:
        """As `check_input`, but one sample alone, without the leading `"N"`, is taken as a batch of one.

        `recall` then gives `dy` as a batch of one too, and results go back through `as_given`.

        Raises:
            ShapeError: it names this module, the shapes that it takes, and the one it was given.
            DTypeError: the input is no array of float32 or float64.
        """
        self.check_array(x)
        alone = x.ndim == len(expected) - 1
        if not _fits(x.shape, expected[alone:]):
            both = f"{_named(expected)} or {_named(expected[1:])}"
            raise ShapeError(f"{self.label()}: expected input {both}, got {x.shape}")
        self._alone = alone
        return x[None] if alone else x

    def as_given(self, batch: Array) -> Array:
        """A result without the batch dimension that `check_batch` added, if it did."""
        return batch[0] if self._alone else batch

    def check_dim(self, x: Array, dim: int) -> None:
        """Refuse a dimension that the input does not have.

        Raises:
            ShapeError: `dim` is not in −rank … rank−1.
        """
        if not -x.ndim <= dim < x.ndim and not (x.ndim == 0 and dim in (0, -1)):
            raise ShapeError(f"{self.label()}: expected an input that has dimension {dim}, got {x.shape}")

    # ---------------------------------------------------------------- what it holds

    def register_buffer(self, name: str, values: Array | None, persistent: bool = True) -> None:
        """Hold an array that is state but is not trained (batch norm's running mean), as `self.<name>`.

        Args:
            name: what it is called.
            values: the array; None keeps the name free.
            persistent: False leaves it out of `state_dict`, as what can be worked out again.
        """
        setattr(self, name, values)
        self._buffer_names = (*self._buffer_names, name)
        if not persistent:
            self._unsaved_names = (*self._unsaved_names, name)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Hold a parameter under a name that is computed; otherwise `self.<name> = parameter` does it.

        Raises:
            TypeError: neither a Parameter nor None.
            KeyError: the name is empty, has a dot, or is taken.
        """
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"{self.label()}: expected a Parameter, got {type(parameter).__name__}")
        setattr(self, check_free(self, name, Parameter), parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Hold a module under a name that is computed; otherwise `self.<name> = module` does it.

        Raises:
            TypeError: neither a Module nor None.
            KeyError: the name is empty, has a dot, or is taken.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{self.label()}: expected a Module, got {type(module).__name__}")
        setattr(self, check_free(self, name, Module), module)

    def get_submodule(self, target: str) -> Module:
        """The module of this dotted name, such as `features.0`; this one for the empty name.

        Raises:
            AttributeError: there is none.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            found = vars(found).get(name)
            if not isinstance(found, Module):
                raise AttributeError(f"{self.label()}: expected the name of a module, got {target!r}")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name, such as `features.0.weight`.

        Raises:
            AttributeError: there is none.
        """
        holder, _, name = target.rpartition(".")
        found = vars(self.get_submodule(holder)).get(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"{self.label()}: expected the name of a parameter, got {target!r}")
        return found

    def get_buffer(self, target: str) -> Array:
        """The buffer of this dotted name, such as `features.1.running_mean`.

        Raises:
            AttributeError: there is none.
        """
        holder, _, name = target.rpartition(".")
        module = self.get_submodule(holder)
        found: Array | None = vars(module).get(name) if name in module._buffer_names else None
        if found is None:
            raise AttributeError(f"{self.label()}: expected the name of a buffer, got {target!r}")
        return found

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with every module, those below first and this one last: to initialise them, for one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules held directly, with their names, in definition order."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """The modules held directly."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names; this one's own name is `prefix`."""
        seen: set[int] = set()
        for name, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Every path to a module; one that is held twice comes twice."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(_join(prefix, name))

    def _named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    yield _join(path, name), value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its dotted name, in definition order.

        Args:
            prefix: what the names begin with.
            recurse: False gives only the parameters that this module holds itself.
        """
        seen: set[int] = set()
        for name, parameter in self._named_parameters(prefix, recurse):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once, in definition order; without `recurse` only this module's own."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Array]]:
        """Every buffer with its dotted name; prefix and recurse as in `named_parameters`."""
        for path, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name in module._buffer_names:
                if (values := getattr(module, name)) is not None:
                    yield _join(path, name), values

    def buffers(self, recurse: bool = True) -> Iterator[Array]:
        """Every buffer; without `recurse` only this module's own."""
        return (values for _, values in self.named_buffers(recurse=recurse))

    def _saved_names(self) -> list[str]:
        """The buffers that `state_dict` holds."""
        return [name for name in self._buffer_names if name not in self._unsaved_names]

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Random generators that modules hold for themselves (`Dropout(rng=…)`), with dotted names."""
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    yield _join(prefix, name), value

    # ---------------------------------------------------------------- state in and out

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name, in PyTorch's order.

        They are host arrays, wherever the module is: what is saved or compared leaves the device anyway.
        """
        state: dict[str, Array] = {}
        for prefix, module in self._walk():
            own = {name: value.data for name, value in vars(module).items() if isinstance(value, Parameter)}
            own |= {name: getattr(module, name) for name in module._saved_names()}
            state |= {
                _join(prefix, name): to_host(values.copy())
                for name, values in own.items()
                if values is not None
            }
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Take over parameters and buffers by name, each in the dtype and at the place that is here.

        Args:
            state_dict: name → array, as `state_dict` gives.
            strict: False passes over missing and unexpected names and returns them.

        Raises:
            StateDictError: it lists every missing, unexpected or misshapen name; nothing was changed.
        """
        targets: dict[str, Array] = {name: p.data for name, p in self._named_parameters()}
        for prefix, module in self._walk():
            targets |= {
                _join(prefix, name): values
                for name in module._saved_names()
                if (values := getattr(module, name)) is not None
            }
        given: Any = state_dict
        if not isinstance(given, Mapping):
            kind = type(given).__name__
            raise StateDictError(f"{self.label()}: expected a state dict, name → array, got {kind}")
        missing = [name for name in targets if name not in state_dict]
        unexpected = [str(name) for name in state_dict if name not in targets]
        arrays = {name: _as_array(state_dict[name]) for name in targets if name in state_dict}

        problems: list[str] = []
        if strict:
            problems += [f"missing: {name} {targets[name].shape}" for name in missing]
            problems += [f"unexpected: {name}" for name in unexpected]
        for name, values in arrays.items():
            target = targets[name]
            if values.shape != target.shape:
                problems.append(f"misshapen: {name}: expected {target.shape}, got {values.shape}")
            elif not np.can_cast(values.dtype, target.dtype, casting="same_kind"):
                problems.append(f"wrong dtype: {name}: expected {target.dtype}, got {values.dtype}")
        if problems:
            lines = "\n  ".join(problems)
            raise StateDictError(
                f"{self.label()}: the state dict does not fit; nothing was changed\n  {lines}"
            )

        for name, values in arrays.items():
            targets[name][...] = as_like(values, targets[name])
        return IncompatibleKeys(missing, unexpected)

    # ---------------------------------------------------------------- modes

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (or, with False, to evaluation)."""
        for module in self.modules():
            module.training = mode
            module._remembering = False
        return self

    def eval(self, remember: bool = False) -> Self:
        """Switch to evaluation: dropout is off, batch norm uses its running statistics.

        Args:
            remember: True keeps what `backward` needs, so that gradients can be taken in this mode.
        """
        for module in self.modules():
            module.training = False
            module._remembering = remember
            if not remember:
                module._memory = None
        return self

    @contextmanager
    def evaluating(self) -> Iterator[Self]:
        """`eval()` for one block; afterwards every module is in the mode that it was in, one by one."""
        kept = [(m, m.training, m._remembering, m._memory) for m in self.modules()]
        try:
            yield self.eval()
        finally:
            for module, training, remembering, memory in kept:
                module.training, module._remembering, module._memory = training, remembering, memory

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters here and below (with False), or let them collect gradients again."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or with False make it 0."""
        for parameter in self.parameters():
            parameter.zero_grad(set_to_none)

    def to(self, target: DTypeLike | Device) -> Self:
        """Convert parameters and floating buffers to a dtype, or move all of them to a device.

        Args:
            target: float32 or float64; or a device, `"cuda"` or `"sim"`, or `"cpu"` for the host.

        Raises:
            DTypeError: neither float32, float64 nor the name of a device.
            BackendError: the device is not there.
        """
        try:
            wanted = destination(target)
        except TypeError as error:
            raise DTypeError(f"{self.label()}: expected a dtype or a device, got {target!r}") from error
        dtype = wanted if isinstance(wanted, np.dtype) else None
        if dtype is not None and dtype not in FLOATS:
            raise DTypeError(f"{self.label()}: expected float32 or float64, got {dtype}")
        for parameter in self.parameters():
            parameter.to(target)
        for module in self.modules():
            for name in module._buffer_names:
                values = getattr(module, name)
                if values is not None and (dtype is None or values.dtype in FLOATS):
                    setattr(module, name, convert(values, wanted))
        return self

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(np.float64)

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(np.float32)

    def cpu(self) -> Self:
        """Move to the host."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """Move to the GPU."""
        return self.to("cuda")

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


@functools.lru_cache(maxsize=1024)  # the same few shapes come at every step
def _fits(shape: tuple[int, ...], expected: tuple[int | str, ...]) -> bool:
    """Whether a shape is what `check_input` expects."""
    any_rank = expected[0] == "*"
    sizes = expected[1:] if any_rank else expected
    given = shape[-len(sizes) :] if any_rank else shape
    return len(given) == len(sizes) and all(
        isinstance(size, str) or size == has for size, has in zip(sizes, given, strict=True)
    )


def _named(expected: tuple[int | str, ...]) -> str:
    """A shape as messages have it."""
    return f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"


def check_free(holder: Module, name: Any, instead_of: type | None = None) -> str:
    """Refuse what cannot be the name of a parameter or module in this holder, unless one is there to replace.

    Raises:
        TypeError: no string.
        KeyError: empty, with a dot, or an attribute of the holder already.
    """
    who = type(holder).__name__
    if not isinstance(name, str):
        raise TypeError(f"{who}: expected names of modules as strings, got {name!r}")
    there = vars(holder).get(name, ...)
    replaceable = instead_of is not None and (there is None or isinstance(there, instead_of))
    taken = hasattr(holder, name) and not replaceable
    if not name or "." in name or taken:
        why = "which is taken" if name and "." not in name else "got that"
        raise KeyError(f"{who}: expected a name that is free, without a dot and not empty: {name!r}, {why}")
    return name


def _as_array(values: Any) -> Array:
    try:
        return to_host(values)
    except ValueError:  # a list of lists of different lengths: as objects, it fits no parameter
        return np.asarray(None)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


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
