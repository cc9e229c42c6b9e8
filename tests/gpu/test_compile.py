"""Every kernel becomes machine code for an A100 and an H100, without either, and is as it should be."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidl.array.cuda_compiler import compile_kernel, compiler_is_installed
from minidl.array.gpu import gpu_function, gpu_kernel, real
from minidl.errors import BackendError

SCRIPT = Path(__file__).parent / "proof.py"
PROCESSES = 2
SECONDS = 120  # that all of it may take

needs_compiler = pytest.mark.skipif(
    not compiler_is_installed(),
    reason='kernels are not compiled: pip install "minidl[cuda-test]" is not there',
)


@pytest.fixture(scope="module")
def reports():
    """What was found for each signature and each GPU."""
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(part), str(PROCESSES)], stdout=subprocess.PIPE, text=True
        )
        for part in range(PROCESSES)
    ]
    lines = [line for process in running for line in process.communicate(timeout=5 * SECONDS)[0].splitlines()]
    assert not any(process.returncode for process in running)
    found = [json.loads(line) for line in lines]
    slowest = sorted((r["seconds"], r["name"]) for r in found)[-5:]
    print(f"{len(found)} compilations in {time.perf_counter() - began:.0f} s; the longest: {slowest}")
    return found


def failing(reports, wrong):
    return [(report["name"], report["gpu"], wrong(report)) for report in reports if wrong(report)]


@needs_compiler
@pytest.mark.slow
def test_every_kernel_compiles(reports):
    assert len(reports) > 200
    assert not failing(reports, lambda r: r["error"])


@needs_compiler
@pytest.mark.slow
def test_no_kernel_spills_registers_or_has_more_than_its_limit(reports):
    assert not failing(reports, lambda r: r.get("spills") and f"{r['spills']} bytes spilled")
    assert not failing(
        reports, lambda r: r.get("registers", 0) > r["limit"] and f"{r['registers']} registers"
    )
    more = failing(reports, lambda r: r["limit"] > 64 and ".tiles." not in r["name"] and r["limit"])
    assert not more, "only products by tiles may have more than 64 registers"
    assert not failing(reports, lambda r: r["limit"] > 128 and r["limit"])


@needs_compiler
@pytest.mark.slow
def test_float32_kernels_have_no_double_precision_arithmetic(reports):
    assert not failing(reports, lambda r: r.get("doubles") and f"{r['doubles']} instructions of float64")


@needs_compiler
@pytest.mark.slow
def test_the_hot_loop_of_the_large_product_multiplies_and_adds(reports):
    shares = {
        (r["name"], r["gpu"]): r["fma"] for r in reports if "product_128x128-" in r["name"] and "fma" in r
    }
    if not shares:
        pytest.skip("no disassembler (nvdisasm) is installed")
    assert min(shares.values()) >= 0.85, shares


# ------------------------------------------------------------------ the proof itself can fail


@gpu_function
def half(x):
    return x * 0.1  # a bare literal: double precision


@gpu_kernel("real* y, const real* x")
def doubled(y, x):
    y[0] = half(x[0])


@gpu_kernel("real* y, const real* x, int32 n", registers=24)
def crowded(y, x, n):
    a, b, c, d, e, f, g, h = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
    i, j, k, m, o, p, q, r = x[8], x[9], x[10], x[11], x[12], x[13], x[14], x[15]
    A, B, C, D, E, F, G, H = x[16], x[17], x[18], x[19], x[20], x[21], x[22], x[23]
    for _ in range(n):
        a, b, c, d, e, f, g, h = b * a, c * b, d * c, e * d, f * e, g * f, h * g, i * h
        i, j, k, m, o, p, q, r = j * i, k * j, m * k, o * m, p * o, q * p, r * q, A * r
        A, B, C, D, E, F, G, H = A * B, B * C, C * D, D * E, E * F, F * G, G * H, H * a
    y[0] = a + b + c + d + e + f + g + h + i + j + k + m + o + p + q + r
    y[1] = A + B + C + D + E + F + G + H


@gpu_kernel("real* y, int32 n")
def mistaken(y, n):
    y[0] = real(n).nothing


@needs_compiler
@pytest.mark.slow
def test_what_is_wrong_is_found(tmp_path):
    code = f"""
import sys
sys.path[:0] = [{str(SCRIPT.parent)!r}]
import json, pathlib, proof
from test_compile import crowded, doubled
for kernel in (doubled, crowded):
    text, _ = proof.compile_kernel(kernel, "float32")
    print(json.dumps(proof.assembled(kernel, "float32", text, "sm_80", pathlib.Path({str(tmp_path)!r}))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    double, spilled = map(json.loads, done.stdout.splitlines())
    assert double["doubles"] > 0
    assert spilled["spills"] > 0


@needs_compiler
def test_a_kernel_that_does_not_compile_says_so():
    code = f"""
import sys
sys.path[:0] = [{str(SCRIPT.parent)!r}]
from test_compile import BackendError, compile_kernel, mistaken
try:
    compile_kernel(mistaken, "float32")
except BackendError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert "mistaken(real* y, int32 n) with real = float32 does not compile" in done.stdout


@pytest.mark.skipif(compiler_is_installed(), reason="the compiler is installed")
def test_without_the_compiler_the_error_names_the_package():
    with pytest.raises(BackendError, match=r'pip install "minidl\[cuda13\]"'):
        compile_kernel(doubled, "float32")
