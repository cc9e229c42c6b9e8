"""Bugs planted in GPU kernels, one at a time: each must show on the simulator against the reference."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS, CHANGES, call

from minidl.array import DeviceArray, to_device, to_host
from minidl.array.gpu import kernel_from_source
from minidl.errors import KernelError
from minidl.kernels import KERNELS
from minidl.kernels.cuda import (
    activation,
    adaptive_maxima,
    class_loss,
    curves,
    embedding,
    gates,
    groups,
    lines,
    loss,
    normalization,
    optim,
    padding,
    pointwise_loss,
    probabilities,
    resampling,
    vector_pairs,
)

BUGS = [
    ("relu", activation, "relu_kernel", "or value != value", ""),  # NaN becomes 0
    ("relu", activation, "relu_kernel", "if i < n", "if i <= n"),  # one number too many
    ("relu", activation, "relu_kernel", "> real(0)", ">= real(0)"),
    ("sigmoid", activation, "sigmoid_kernel", "-abs(value)", "-value"),  # overflows
    ("tanh_input_grad", activation, "tanh_input_grad_kernel", "y[i] * y[i]", "y[i]"),
    ("erf", activation, "erf_kernel", "math.erf(", "math.tanh("),
    ("dropout", activation, "dropout_kernel", ">= p", "> p + p"),
    ("dropout_input_grad", activation, "dropout_input_grad_kernel", "dy[i] * scale", "dy[i]"),
    ("three_lines", lines, "three_lines_kernel", "if s0 != real(0):", "if True:"),  # 0 · ∞
    ("three_lines", lines, "three_lines_kernel", "s1 * value + h1", "s1 * value"),
    (
        "three_lines_input_grad",
        lines,
        "three_lines_input_grad_kernel",
        "x[i] >= high",
        "x[i] >= high + real(0.7)",
    ),
    ("prelu", lines, "prelu_kernel", "uint32(i) // pixels % slopes", "uint32(i) % slopes"),
    ("prelu_input_grad", lines, "prelu_input_grad_kernel", "real(0) if positive else x[i]", "x[i]"),
    ("slope_input_grad", curves, "slope_input_grad_kernel", " * slope[i]", ""),
    ("gelu", curves, "gelu_kernel", "real(-0.5) * value", "-value"),
    ("gelu", curves, "gelu_tanh_kernel", "real(3 * 0.044715)", "real(3 * 0.0447)"),
    ("silu", curves, "silu_kernel", "s * (real(1) + value * (real(1) - s))", "s"),
    ("mish", curves, "mish_kernel", "above + math.log1p(e)", "math.log1p(e)"),
    ("elu", curves, "elu_kernel", "scale * alpha * rate *", "scale * alpha *"),
    ("softplus", curves, "softplus_kernel", " / beta", ""),
    ("log_sigmoid", curves, "log_sigmoid_kernel", "below - math", "value - math"),
    ("hardswish", curves, "hardswish_kernel", "gate = real(6)", "pass"),
    ("hardswish_input_grad", curves, "hardswish_input_grad_kernel", "real(2) * value +", "value +"),
    ("softsign", curves, "softsign_kernel", "share * share", "share"),
    ("tanhshrink", curves, "tanhshrink_kernel", "t * t", "real(1) - t * t"),
    ("glu", gates, "glu_kernel", "-abs(gate)", "-gate"),  # overflows
    ("glu", gates, "glu_kernel", "// run * run", "// run"),
    ("glu_input_grad", gates, "glu_input_grad_kernel", "rest = share", "pass"),
    ("glu_input_grad", gates, "glu_input_grad_kernel", "dx[place + run]", "dx[place]"),
    ("resample", resampling, "resample_kernel", "plane * H +", "plane +"),
    ("resample", resampling, "resample_kernel", "total +=", "total ="),
    ("resample", resampling, "resample_kernel", "column_weights[t * OW + j] *", "column_weights[j] *"),
    ("pad2d", padding, "pad2d_kernel", "shown_by(j, left, W, mode)", "shown_by(j, left, W, 2)"),
    ("scale_channels", lines, "scale_channels_kernel", "uint32(i) // pixels", "uint32(i) // pixels * 0"),
    ("pad2d", padding, "pad2d_kernel", "if row >= 0 and column", "if row < H and column"),
    ("pad2d_input_grad", padding, "pad2d_input_grad_kernel", "shows(i, row, top, H, OH, mode)", "i < OH"),
    ("pad2d_input_grad", padding, "pad2d_input_grad_kernel", "total += dy", "total = dy"),
    ("pad2d_input_grad", padding, "pad2d_input_grad_kernel", "while m < wide", "while m < wide - 1"),
    ("softmax", probabilities, "softmax_rows_kernel", "lanes_max(largest, lanes)", "largest"),
    ("softmax", probabilities, "softmax_rows_kernel", "(n if row < rows else 0)", "n"),
    ("softmax", probabilities, "softmax_rows_kernel", "lanes_sum(total, lanes)", "lanes_sum(total, 32)"),
    ("softmax", probabilities, "softmax_columns_kernel", "// apart * apart * n", "// apart * n"),
    ("softmax_input_grad", probabilities, "softmax_columns_input_grad_kernel", "* (dy[i] - mean)", "* dy[i]"),
    ("log_softmax", probabilities, "log_softmax_rows_kernel", "lanes_sum(total, lanes)", "total"),
    ("log_softmax", probabilities, "log_softmax_columns_kernel", "total = math.log(total)", "pass"),
    ("log_softmax_input_grad", probabilities, "log_softmax_rows_input_grad_kernel", "* total", ""),
    ("cross_entropy", loss, "cross_entropy_kernel", "keep = spread = real(0)", "pass"),  # not ignored
    ("cross_entropy", loss, "cross_entropy_kernel", "q != real(0) or log_p != real(-math.inf)", "True"),
    ("cross_entropy", loss, "cross_entropy_kernel", "* shares - q", "- q"),
    ("cross_entropy", loss, "cross_entropy_kernel", "if lane == 0 and row < rows", "if lane == 0"),
    ("cross_entropy", loss, "check_labels_kernel", "if label != ignored", "if True"),
    ("cross_entropy_with_logits", loss, "binary_kernel", "max(-z, real(0))", "-z"),
    ("squared_error", loss, "squares_kernel", "block_sum(total)", "total"),
    ("squared_error", loss, "total_kernel", "range(cuda.threadIdx.x, n", "range(cuda.threadIdx.x, min(n, 3)"),
    ("absolute_error", pointwise_loss, "absolute_kernel", "error > real(0)", "error >= real(0)"),
    ("clipped_error", pointwise_loss, "clipped_kernel", "real(0.5) * c", "c"),
    ("clipped_error", pointwise_loss, "clipped_kernel", "if error < -limit:", "if False:"),
    ("soft_margin", pointwise_loss, "soft_margin_kernel", "max(-z, real(0))", "-z"),
    ("soft_margin", pointwise_loss, "soft_margin_kernel", "wrong[0] = 1", "pass"),
    ("poisson_nll", pointwise_loss, "poisson_kernel", "if full and t > real(1)", "if full and t > real(2)"),
    ("poisson_nll", pointwise_loss, "poisson_kernel", "slope[i] = e - t", "slope[i] = e"),
    ("kl_divergence", pointwise_loss, "kl_kernel", "if t != real(0)", "if True"),
    (
        "binary_cross_entropy",
        pointwise_loss,
        "probabilities_kernel",
        "if divisor <",
        "if False and divisor <",
    ),
    ("nll", class_loss, "nll_kernel", "label >= 0 and label < classes", "label >= 0"),
    ("nll", class_loss, "nll_kernel", "if label != ignored", "if True"),
    ("nll_input_grad", class_loss, "nll_input_grad_kernel", "i - row * int32(classes)", "i"),
    ("multi_margin", class_loss, "multi_margin_kernel", "lanes_sum(total, lanes)", "total"),
    ("multi_margin", class_loss, "multi_margin_kernel", "real(2) * z", "z"),
    ("multi_margin", class_loss, "multi_margin_kernel", "z <= real(0) or c == label", "z <= real(0)"),
    ("pair_products", vector_pairs, "pair_sums_kernel", "lanes_sum(own_a, lanes)", "own_a"),
    ("pair_input_grads", vector_pairs, "pair_input_grads_kernel", " + own_b[row] * b[i]", ""),
    ("batch_norm", normalization, "moments_kernel", "first + block_sum", "block_sum"),
    ("batch_norm", normalization, "moments_kernel", "deviation * deviation", "deviation"),
    ("batch_norm", normalization, "moments_kernel", "min(n, begin + piece)", "begin + piece"),
    ("batch_norm", normalization, "moments_of_pieces_kernel", " + deviation * deviation", ""),
    ("batch_norm", normalization, "moments_of_pieces_kernel", "first + lanes_sum", "lanes_sum"),
    ("batch_norm", normalization, "moments_of_pieces_kernel", "lane == 0 and c < channels", "lane == 0"),
    ("batch_norm_fixed", normalization, "normalize_kernel", "var[c] + eps", "var[c]"),
    ("move_statistics", normalization, "move_statistics_kernel", "+ m * var[c]", "+ m * mean[c]"),
    ("batch_norm_input_grad", normalization, "affine_grad_kernel", "(x[i] - centre)", "x[i]"),
    ("batch_norm_input_grad", normalization, "affine_grad_kernel", "begin + cuda.threadIdx.x", "begin"),
    (
        "batch_norm_input_grad",
        normalization,
        "affine_grad_of_pieces_kernel",
        "lanes_sum(of_gradients, lanes)",
        "of_gradients",
    ),
    ("batch_norm_input_grad", normalization, "normalize_input_grad_kernel", "if of_batch", "if not of_batch"),
    ("group_norm", groups, "group_norm_kernel", "first + block_sum", "block_sum"),
    ("group_norm", groups, "group_norm_kernel", "if centred", "if not centred"),
    ("group_norm", groups, "group_norm_kernel", "square + eps", "square"),
    ("group_norm", groups, "group_norm_kernel", "gamma[c]", "gamma[0]"),
    (
        "group_norm",
        groups,
        "group_norm_kernel",
        "var[cuda.blockIdx.x] = square",
        "var[cuda.blockIdx.x] = total",
    ),
    (
        "group_norm_input_grad",
        groups,
        "group_norm_input_grad_kernel",
        "gradient * (x[i] - centre)",
        "gradient * x[i]",
    ),
    ("group_norm_input_grad", groups, "group_norm_input_grad_kernel", "block_sum(level)", "level"),
    ("group_norm_input_grad", groups, "group_norm_input_grad_kernel", "if centred", "if not centred"),
    ("group_norm_input_grad", groups, "group_norm_input_grad_kernel", "gradient * xhat", "gradient"),
    ("adaptive_max_pool2d", adaptive_maxima, "adaptive_max_pool2d_kernel", "winner < 0 or ", ""),
    (
        "adaptive_max_pool2d_input_grad",
        adaptive_maxima,
        "adaptive_max_pool2d_input_grad_kernel",
        "total += dy",
        "total = dy",
    ),
    ("sgd_step", optim, "sgd_kernel", "slope + momentum * velocity if nesterov else velocity", "velocity"),
    ("adam_step", optim, "adam_kernel", "/ root2 + eps", "+ eps"),
    ("adam_step", optim, "adam_kernel", "largest[i] = square", "pass"),
    ("scatter_rows", embedding, "chain_kernel", "k = j - 1", "k = j - 2"),
    ("scatter_rows", embedding, "scatter_kernel", "earlier[j] < 0 and", ""),  # two threads write one number
    ("scatter_rows", embedding, "scatter_kernel", "row >= 0 and", ""),  # padding before the first row
    ("scatter_rows", embedding, "scatter_kernel", "total += x", "total = x"),
    ("move_rows", embedding, "move_kernel", "earlier[j] < 0 and", ""),
    ("move_rows", embedding, "move_kernel", "source >= 0 and", ""),
    ("move_rows", embedding, "move_kernel", "total += x", "total = x"),
    ("scatter_max", embedding, "scatter_max_kernel", "value > best", "value >= best"),
    (
        "scatter_max",
        embedding,
        "scatter_max_kernel",
        "winner = j\n                j",
        "pass\n                j",
    ),
    ("scatter_winners", embedding, "winners_kernel", "i % columns", "0"),
    ("scatter_winners", embedding, "winners_kernel", "winner >= 0 and", ""),
    ("sparse_adam_step", optim, "sparse_adam_kernel", "row = rows[j // columns]", "row = j // columns"),
    ("sparse_adam_step", optim, "sparse_adam_kernel", "slope * slope - v[i]", "slope - v[i]"),
    ("bags_of", embedding, "bags_kernel", "<= j", "< j"),
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """So that what the simulator has time for is cut into some."""
    monkeypatch.setattr(normalization, "PIECE", 8)


def broken(kernel, old, new):
    """The kernel with a piece of its text, which it has exactly once, replaced."""
    text = inspect.getsource(kernel.function)
    text = text[re.search(r"^def ", text, re.MULTILINE).start() :]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {kernel.name}"
    return kernel_from_source(text.replace(old, new), kernel.signature(), names=kernel.names())


def on_device(argument):
    if isinstance(argument, np.generic):
        argument = np.asarray(argument)
    return to_device(argument, "sim") if isinstance(argument, np.ndarray) else argument


def differs(name):
    """Whether the twin gives anything else than the reference, or a kernel complains."""
    kernel = KERNELS[name]
    for seed in range(20):
        arguments = ARGUMENTS[name](np.random.default_rng(seed), np.float64)
        if any(isinstance(a, np.ndarray) and a.size > 11_000 for a in arguments):
            continue
        with np.errstate(all="ignore"):
            expected = call(kernel.reference, name, arguments)
        given = [on_device(a) for a in arguments]
        try:
            found = call(kernel.twins[DeviceArray], name, given, own=name in CHANGES)
        except KernelError:
            return True
        for a, b in zip(found, expected, strict=True):
            if not np.allclose(to_host(a), b, rtol=1e-9, atol=1e-12, equal_nan=True):
                return True
    return False


@pytest.mark.parametrize("name", sorted({bug[0] for bug in BUGS}))
def test_honest_kernels_agree(name):
    assert not differs(name)


@pytest.mark.parametrize(
    ("name", "module", "kernel", "old", "new"), BUGS, ids=[f"{bug[2]}: {bug[3]}" for bug in BUGS]
)
def test_a_planted_bug_shows(name, module, kernel, old, new, monkeypatch):
    monkeypatch.setattr(module, kernel, broken(getattr(module, kernel), old, new))
    assert differs(name)
