"""Compiled tasks and how threads share them out, without the GIL and without a lock.

A job is a compiled function, its arguments, and a number of tasks: `body(task, thread, *arguments)` for
task 0, 1, …, n − 1. Whoever is free claims a task with one atomic addition, the thread that posted the job
too, so a worker that the system has taken away delays nothing that others could do. Half of the threads
claim from the first task on, half from the last one back: so in one kernel after the other a thread meets
the images that it worked on before, which are still in its cache. Which thread runs a task never changes
what it computes: every task writes outputs of its own.

The team is a small block of memory, one cache line per slot that several threads write to:

    OPEN      three numbers of 21 bits: n, how many tasks were claimed from the end, how many from the start
    LEFT      tasks that are not finished
    BODY, ARGUMENTS   addresses of the job's function and of its packed arguments
    STOP      1 ends the workers

A claim and the number of tasks travel in one word, so a late worker cannot mistake an old job's claim for
a new one: it gets either a task of the job that is open or learns that there is none.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.numba_cpu.jit import jit

__all__ = ["SLOTS", "STOP", "rows_of_task", "serve", "tasks"]

OPEN, LEFT, BODY, ARGUMENTS, STOP = 0, 8, 16, 17, 24
SLOTS = 32
BITS = 21
LOW = (1 << BITS) - 1
MOST = 1 << (BITS - 1)  # tasks of one job; beyond, they all run where they were posted

WORD = ir.IntType(64)
BYTES = ir.IntType(8).as_pointer()
TASK = ir.FunctionType(ir.VoidType(), [BYTES, WORD, WORD])  # (arguments, task, thread)


def _slot(builder: Any, team: Any, number: Any) -> Any:
    return builder.gep(builder.inttoptr(team, WORD.as_pointer()), [number])


@intrinsic
def _load(typing: Any, team: Any, slot: Any) -> Any:
    """What stands in a slot, and everything that was written before it."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_slot(builder, *args), "acquire", 8)

    return types.int64(types.int64, types.int64), build


@intrinsic
def _store(typing: Any, team: Any, slot: Any, value: Any) -> Any:
    """Write a slot, so that whoever reads it also sees what was written before."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _slot(builder, *args[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic
def _add(typing: Any, team: Any, slot: Any, value: Any) -> Any:
    """Add to a slot in one indivisible step; the value before."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _slot(builder, *args[:2]), args[2], "acq_rel")

    return types.int64(types.int64, types.int64, types.int64), build


@intrinsic
def _pause(typing: Any) -> Any:
    """Tell the core that this is a waiting loop, where it has a word for that."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i686")):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def _call(typing: Any, body: Any, arguments: Any, task: Any, thread: Any) -> Any:
    """Call the compiled function at the address `body`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        body, arguments, task, thread = args
        function = builder.inttoptr(body, TASK.as_pointer())
        builder.call(function, [builder.inttoptr(arguments, BYTES), task, thread])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), build


@intrinsic
def _keep(typing: Any, value: Any) -> Any:
    """Nothing; but what is used here is not freed before."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.void(value), build


@jit
def _claimable(job: int) -> bool:
    return (job & LOW) + ((job >> BITS) & LOW) < job >> 2 * BITS


@jit
def _claim_and_run(team: int, thread: int) -> int:
    """Run tasks of the open job until none is left to claim; how many they were."""
    done = 0
    from_end = thread % 2 == 1
    while _claimable(_load(team, OPEN)):
        job = _add(team, OPEN, 1 << BITS if from_end else 1)
        if not _claimable(job):
            break
        task = (job >> 2 * BITS) - 1 - ((job >> BITS) & LOW) if from_end else job & LOW
        _call(_load(team, BODY), _load(team, ARGUMENTS), task, thread)
        done += 1
    if done > 0:
        _add(team, LEFT, -done)
    return done


@jit
def _run(team: int, n: int, body: int, arguments: int) -> None:
    if n <= 1 or team == 0 or n > MOST:
        for task in range(n):
            _call(body, arguments, task, 0)
        return
    _store(team, BODY, body)
    _store(team, ARGUMENTS, arguments)
    _store(team, LEFT, n)
    _store(team, OPEN, n << 2 * BITS)
    _claim_and_run(team, 0)
    while _load(team, LEFT) > 0:
        _pause()


def tasks(body: Any, *, fastmath: frozenset[str] = frozenset()) -> Any:
    """A decorator: `body(task, thread, *arguments)` becomes `body(team, n, arguments)` for compiled code.

    That runs it for every task below n. Thread 0 is the caller, the workers are 1, 2, …;
    `team` is the address of the team's memory, and 0 runs all tasks here. (`fastmath` as in `jit`.)
    The attribute `body` is the plain Python function.
    """
    compiled_body = jit(body, fastmath=fastmath, entrance=False)

    @intrinsic
    def pack(typing: Any, arguments: Any) -> Any:
        """The addresses of the body in the form of TASK, and of its arguments, packed on the stack."""
        given = (types.int64, types.int64, *arguments.types)
        wanted = types.Dispatcher(compiled_body).get_call_type(typing, given, {}).args

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            compiled = compiled_body.overloads[wanted]
            context.active_code_library.add_linking_library(compiled.library)
            about = compiled.fndesc
            target = cgutils.get_or_insert_function(
                builder.module,
                context.call_conv.get_function_type(about.restype, about.argtypes),
                about.llvm_func_name,
            )
            packed = cgutils.alloca_once_value(builder, args[0])

            # the function of type TASK: it unpacks the arguments and calls the body
            task = ir.Function(builder.module, TASK, builder.module.get_unique_name("task"))
            task.linkage = "internal"
            inner = ir.IRBuilder(task.append_basic_block())
            values = inner.load(inner.bitcast(task.args[0], packed.type))
            unpacked = [
                context.cast(inner, inner.extract_value(values, i), of, to)
                for i, (of, to) in enumerate(zip(arguments.types, wanted[2:], strict=True))
            ]
            context.call_conv.call_function(inner, target, about.restype, wanted, [*task.args[1:], *unpacked])
            inner.ret_void()
            addresses = [builder.ptrtoint(task, WORD), builder.ptrtoint(packed, WORD)]
            return context.make_tuple(builder, signature.return_type, addresses)

        return types.UniTuple(types.int64, 2)(arguments), build

    @numba.njit(nogil=True, inline="always")
    def for_all(team, n, arguments):
        function, packed = pack(arguments)
        _run(team, n, function, packed)
        _keep(arguments)

    for_all.body = body
    return for_all


@jit
def serve(team: int, thread: int, patience: int) -> None:
    """A worker's life: run what is open; return when told to stop, or after `patience` looks in vain."""
    looks = 0
    while looks < patience and _load(team, STOP) == 0:
        if _claim_and_run(team, thread) > 0:
            looks = 0
        _pause()
        looks += 1


@jit
def rows_of_task(width: int, numbers: int) -> int:
    """How many rows of that width make one task of about so many numbers; at least one."""
    return max(1, numbers // max(1, width))
