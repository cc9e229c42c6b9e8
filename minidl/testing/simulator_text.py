"""How the simulator reads a kernel: its text becomes a Python function of one thread.

What a GPU knows of a thread (`cuda.threadIdx.x`, …) becomes arguments of that function. A barrier or an
exchange within a warp becomes a `yield`, at which the thread waits for the others; a function without any
stays a plain one, and runs much faster. Divisions by zero, overflow, logarithms of zero and `min` and `max`
of NaN give what a GPU gives, where Python would raise an error.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minidl.array.gpu import NAMES, TYPES, GpuFunction, GpuKernel
from minidl.errors import KernelError
from minidl.testing.simulator_memory import FaultError

__all__ = ["HIDDEN", "SUBSCRIPTS", "ThreadText", "read_kernel"]

HIDDEN = (
    "_block",
    *(f"_{of}_{axis}" for of in ("gridDim", "blockDim", "blockIdx", "threadIdx") for axis in "xyz"),
)
"""Arguments that a kernel gets after its own; a function that it calls gets those that it uses."""
SUBSCRIPTS = "_subscripts"
"""A global of each rewritten function: which name is indexed at a place of the text, by what."""
BARRIERS = ("syncthreads", "syncthreads_count", "syncthreads_and", "syncthreads_or")
WARP = (
    "syncwarp",
    "shfl_sync",
    "shfl_up_sync",
    "shfl_down_sync",
    "shfl_xor_sync",
    "ballot_sync",
    "all_sync",
    "any_sync",
)
WHOLE, UNSIGNED = ("uint8", "int32", "uint32", "int64"), ("uint8", "uint32")
ATTRIBUTES = {
    "cuda.laneid": "((_threadIdx_z * _blockDim_y + _threadIdx_y) * _blockDim_x + _threadIdx_x) % 32",
    "cuda.warpsize": "32",
} | {f"cuda.{name[1:].replace('_', '.')}": name for name in HIDDEN[1:]}


class ThreadText(NamedTuple):
    """A kernel, or a function that it calls, as the simulator runs it.

    Attributes:
        function: takes its own arguments and the hidden ones.
        waits: whether it is a generator, as it waits for other threads.
        hidden: the hidden arguments that it takes: all of them, if it is a kernel.
    """

    function: Callable[..., Any]
    waits: bool
    hidden: tuple[str, ...]


_read: dict[tuple[GpuFunction, str], ThreadText] = {}


def read_kernel(kernel: GpuFunction, precision: str) -> ThreadText:
    """The kernel as a function of one thread, for `real` of this precision.

    Raises:
        KernelError: the text has something that no kernel may do.
    """
    key = (kernel, precision)
    if key not in _read:
        _read[key] = _rewritten(kernel, precision)
    return _read[key]


def _rewritten(kernel: GpuFunction, precision: str) -> ThreadText:
    tree = kernel.tree()
    names = kernel.names()
    rewriter = _Rewriter(kernel, names, precision)
    tree.decorator_list = []
    tree.returns = None
    for argument in tree.args.args:
        argument.annotation = None
    tree.body = [rewriter.visit(statement) for statement in tree.body]
    used = {node.id for statement in tree.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    hidden = tuple(name for name in HIDDEN if isinstance(kernel, GpuKernel) or name in used)
    tree.args.args += [ast.arg(name) for name in hidden]
    scope = {
        **names,
        **MEANINGS,
        **rewriter.functions,
        "real": MEANINGS[precision],
        SUBSCRIPTS: rewriter.subscripts,
    }
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, kernel.function.__code__.co_filename, "exec"), scope)
    return ThreadText(scope[tree.name], rewriter.waits, hidden)


class _Rewriter(ast.NodeTransformer):
    """Rewrites the body of one function."""

    def __init__(self, kernel: GpuFunction, names: dict[str, Any], precision: str) -> None:
        self.kernel = kernel
        self.names = names
        self.precision = precision
        self.waits = False
        self.functions: dict[str, Callable[..., Any]] = {}
        self.subscripts: dict[tuple[int | None, ...], tuple[str, str]] = {}
        self.count = 0
        arguments = kernel.arguments if isinstance(kernel, GpuKernel) else ()
        self.const = {argument.name for argument in arguments if argument.const}

    def refuse(self, node: ast.expr, what: str) -> KernelError:
        return KernelError(f"{self.kernel.name}, line {node.lineno}: {what}")

    def fresh(self) -> str:
        self.count += 1
        return f"_{self.count}"

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        text = ast.unparse(node)
        if text in ATTRIBUTES:
            return _expression(ATTRIBUTES[text], node)
        self.generic_visit(node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        # p[i]  ->  p[_1 if (_1 := i) >= 0 else _negative(p, 'p', _1)]: Python would count from the end
        if (
            isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id in self.const
        ):
            raise self.refuse(node, f"writes through the const pointer {node.value.id}")
        unsigned = isinstance(node.slice, ast.Call) and ast.unparse(node.slice.func) in UNSIGNED
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and not isinstance(node.slice, ast.Tuple | ast.Slice):
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            if unsigned:  # it is not below zero, or the conversion raises an error
                self.subscripts[place] = (node.value.id, _name_of_whole(node.slice))
                return node
            name, index = node.value.id, self.fresh()
            safe = _expression(
                f"{index} if ({index} := 0) >= 0 else _negative({name}, {name!r}, {index})", node.slice
            )
            assert isinstance(safe, ast.IfExp)
            assert isinstance(safe.test, ast.Compare)
            assert isinstance(safe.test.left, ast.NamedExpr)
            safe.test.left.value = node.slice
            node.slice = safe
            self.subscripts[place] = (name, index)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div):
            return self.divided(node)
        if isinstance(node.op, ast.Pow):
            return ast.copy_location(_call("_power", node.left, node.right), node)
        return node

    def divided(self, node: ast.BinOp) -> ast.expr:
        # a / b  ->  a / b if b else _by_zero(a, b)
        if isinstance(node.right, ast.Constant) and node.right.value:
            return node
        if isinstance(node.right, ast.Name) and isinstance(node.left, ast.Name | ast.Constant):
            by_zero = _call("_by_zero", node.left, node.right)
            return ast.copy_location(ast.IfExp(node.right, node, ast.copy_location(by_zero, node)), node)
        left, right = self.fresh(), self.fresh()
        safe = _expression(
            f"{left} / {right} if (({left} := 0), ({right} := 0))[1] else _by_zero({left}, {right})", node
        )
        assert isinstance(safe, ast.IfExp)
        assert isinstance(safe.test, ast.Subscript)
        assert isinstance(safe.test.value, ast.Tuple)
        for part, value in zip(safe.test.value.elts, (node.left, node.right), strict=True):
            assert isinstance(part, ast.NamedExpr)
            part.value = value
        return safe

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if isinstance(node.target, ast.Name) and isinstance(node.op, ast.Div | ast.Pow):
            value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
            return self.visit(
                ast.copy_location(ast.Assign([node.target], ast.copy_location(value, node)), node)
            )
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            function = ast.unparse(node.value.func)
            if function in ("cuda.shared.array", "cuda.local.array"):
                node.value = self.array(node.value, function.split(".")[1], node.targets[0].id)
                return node
        self.generic_visit(node)
        return node

    def array(self, node: ast.Call, where: str, name: str) -> ast.expr:
        """`cuda.shared.array(shape, dtype)`  ->  `_block.shared('name line', shape, dtype)`."""
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        shape, dtype = [*node.args, *(given[key] for key in ("shape", "dtype") if key in given)][:2]
        site = ast.Constant(f"{name}, line {node.lineno}")
        return ast.copy_location(_call(f"_block.{where}", site, self.visit(shape), self.visit(dtype)), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = ast.unparse(node.func)
        if function in ("cuda.grid", "cuda.gridsize"):
            return self.grid(node, function == "cuda.gridsize")
        if function in (*(f"cuda.{name}" for name in BARRIERS + WARP),):
            return self.wait(node, function.removeprefix("cuda."))
        if function in ("cuda.shared.array", "cuda.local.array"):
            raise self.refuse(node, f"give {function}(…) a name: it stands alone on the right of an =")
        if function == "cuda.atomic.add":
            return self.atomic_add(node)
        if function == "cuda.fma":
            a, b, c = (self.visit(argument) for argument in node.args)
            return ast.copy_location(ast.BinOp(ast.BinOp(a, ast.Mult(), b), ast.Add(), c), node)
        if function in ("real", "float32", "float64") and len(node.args) == 1:
            constant = self.constant(node.args[0], function)
            if constant is not None:
                return ast.copy_location(constant, node)
            self.generic_visit(node)
            return ast.copy_location(_call("float", *node.args), node)
        if function in WHOLE and len(node.args) == 1:
            return self.whole(node, function)
        if function.startswith("cuda."):
            raise self.refuse(node, f"the simulator knows no {function}")
        self.generic_visit(node)
        called = self.names.get(function)
        return self.inlined(node, called) if isinstance(called, GpuFunction) else node

    def grid(self, node: ast.Call, whole: bool) -> ast.expr:
        rank = ast.literal_eval(node.args[0])
        text = "_gridDim_{0} * _blockDim_{0}" if whole else "_blockIdx_{0} * _blockDim_{0} + _threadIdx_{0}"
        each = [text.format(axis) for axis in "xyz"[:rank]]
        return _expression(each[0] if rank == 1 else f"({', '.join(each)})", node)

    def wait(self, node: ast.Call, operation: str) -> ast.expr:
        self.waits = True
        site = f"{operation}, line {node.lineno}" + f" column {node.col_offset}" * (
            operation != "syncthreads"
        )
        if operation == "syncthreads":
            return _expression(f"(yield {operation, site})", node)  # a constant: nothing is made each time
        self.generic_visit(node)
        request = ast.Tuple([ast.Constant(operation), ast.Constant(site), *node.args], ast.Load())
        return ast.copy_location(ast.Yield(request), node)

    def atomic_add(self, node: ast.Call) -> ast.expr:
        array, index, value = (self.visit(argument) for argument in node.args)
        return ast.copy_location(_call("_atomic_add", array, index, value), node)

    def constant(self, node: ast.expr, function: str) -> ast.Constant | None:
        try:
            number = ast.literal_eval(node)
        except ValueError:
            return None
        dtype = TYPES[self.precision if function == "real" else function]
        with np.errstate(over="ignore"):
            return ast.Constant(float(dtype.type(number)))

    def whole(self, node: ast.Call, function: str) -> ast.expr:
        # uint32(i)  ->  _1 if (_1 := i).__class__ is int and 0 <= _1 <= 4294967295 else uint32(_1)
        limits, value = MEANINGS[function], self.visit(node.args[0])
        if isinstance(value, ast.Constant) and limits.fits(value.value):
            return value
        name = value.id if isinstance(value, ast.Name) else self.fresh()
        given = name if isinstance(value, ast.Name) else f"({name} := 0)"
        safe = _expression(
            f"{name} if {given}.__class__ is int and {limits.least} <= {name} <= {limits.most} "
            f"else {function}({name})",
            node,
        )
        for part in ast.walk(safe):
            if isinstance(part, ast.NamedExpr):
                part.value = value
        return safe

    def inlined(self, node: ast.Call, called: GpuFunction) -> ast.expr:
        text = read_kernel(called, self.precision)
        assert isinstance(node.func, ast.Name)
        self.functions[node.func.id] = text.function
        node.args += [ast.copy_location(ast.Name(name, ast.Load()), node) for name in text.hidden]
        if not text.waits:
            return node
        self.waits = True
        return ast.copy_location(ast.YieldFrom(node), node)


def _expression(text: str, where: ast.expr) -> ast.expr:
    """The text as a syntax tree, at another one's place in the file."""
    made = ast.parse(text, mode="eval").body
    for node in ast.walk(made):
        ast.copy_location(node, where)
    return made


def _name_of_whole(converted: ast.expr) -> str:
    """The name, or the number, by which `_Rewriter.whole` calls what it converts."""
    return ast.unparse(converted.body if isinstance(converted, ast.IfExp) else converted)


def _call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.parse(function, mode="eval").body, list(args), [])


# ------------------------------------------------------------------ what names mean in a simulated thread


class NumberType:
    """`real`, `int32`, …: makes a number of that type, and says what an array holds."""

    def __init__(self, name: str) -> None:
        self.dtype = TYPES[name]
        self.name = name
        limits = np.iinfo(self.dtype) if self.dtype.kind in "iu" else None
        self.least, self.most = (int(limits.min), int(limits.max)) if limits else (0, 0)

    def __call__(self, number: Any = 0) -> Any:
        if self.dtype.kind == "f":
            return float(number)
        if self.dtype.kind == "b":
            return bool(number)
        whole = int(number)
        if not self.fits(whole):
            raise OverflowError(f"{whole} does not fit {self.name}")
        return whole

    def fits(self, number: Any) -> bool:
        """Whether it is a whole number that this type has."""
        return type(number) is int and self.least <= number <= self.most


def _by_zero(a: float, b: float) -> float:
    """A / b as IEEE 754 says it for b = 0."""
    if a != a or a == 0:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        return a**b
    return MATH.pow(a, b)


def _negative(pointer: Any, name: str, index: int) -> int:
    """An index below zero: an array that is a view has memory before its first element too."""
    if type(pointer) is memoryview:
        raise FaultError(f"{name}[{index}] is outside its buffer (0 to {len(pointer) - 1})")
    return index


def _atomic_add(array: Any, index: Any, value: Any) -> Any:
    return array.atomic_add(index, value)


def _max(best: Any, *others: Any) -> Any:
    for number in others:
        if number > best or best != best:
            best = number
    return best


def _min(best: Any, *others: Any) -> Any:
    for number in others:
        if number < best or best != best:
            best = number
    return best


class _Math:
    """`math` that answers with infinities and NaN, as a GPU does."""

    def __init__(self) -> None:
        of_numpy = {
            "pow": "power",
            "acos": "arccos",
            "asin": "arcsin",
            "acosh": "arccosh",
            "atanh": "arctanh",
        }
        for name in dir(math):
            plain = getattr(math, name)
            ieee = getattr(np, of_numpy.get(name, name), None)
            setattr(self, name, _patient(plain, ieee) if callable(plain) and callable(ieee) else plain)

    pow: Callable[..., Any]


def _patient(plain: Callable[..., Any], ieee: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: float) -> Any:
        try:
            return plain(*args)
        except (ValueError, OverflowError):
            with np.errstate(all="ignore"):
                return float(ieee(*(np.float64(arg) for arg in args)))

    return function


MATH = _Math()
MEANINGS: dict[str, Any] = {
    **{name: NumberType(name) for name in TYPES if name != "bool"},
    "bool_": NumberType("bool"),
    "math": MATH,
    "min": _min,
    "max": _max,
    "_by_zero": _by_zero,
    "_power": _power,
    "_negative": _negative,
    "_atomic_add": _atomic_add,
    "__builtins__": builtins,
}
assert set(NAMES) - set(MEANINGS) == {"cuda", "real"}
