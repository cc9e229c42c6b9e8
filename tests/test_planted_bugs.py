"""Wrong backwards and wrong kernels, planted one at a time: the component checks must catch every one.

A check that lets a planted bug pass proves nothing. Each bug names the class whose samples are put
through the checks; at least one check of one sample has to fail.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

import numpy as np
import pytest
from kernel_arguments import ARGUMENTS, call
from layer_bugs import LAYER_BUGS

from minidl import nn
from minidl.kernels.registry import KERNELS
from minidl.testing import Bug, planted
from minidl.testing.proof import OWN_TABLE, Table

TABLE = Table(OWN_TABLE)


@pytest.mark.parametrize(("component", "bug"), LAYER_BUGS, ids=[bug.name for _, bug in LAYER_BUGS])
@pytest.mark.filterwarnings("ignore")
def test_the_checks_catch(component, bug):
    assert TABLE.caught_by(component.__name__, bug), f"nothing catches: {bug.name}"


def forget_plans() -> None:
    """Empty the compiled kernels' caches of plans: they may hold what a planted bug computed."""
    for name, module in list(sys.modules.items()):
        if name.startswith("minidl.kernels.numba_cpu."):
            for value in vars(module).values():
                getattr(value, "cache_clear", lambda: None)()


@pytest.mark.parametrize(
    "component", sorted({component for component, _ in LAYER_BUGS}, key=str), ids=lambda c: c.__name__
)
def test_without_a_bug_nothing_is_caught(component):
    assert not TABLE.first_failure(component.__name__)


def test_every_layer_and_loss_has_a_planted_bug():
    bugged = {component for component, _ in LAYER_BUGS}
    public = {getattr(nn, name) for name in nn.__all__}
    layers = {c for c in public if isinstance(c, type) and issubclass(c, nn.Module) and c is not nn.Module}
    layers -= {nn.ModuleList, nn.ModuleDict}  # theirs are in tests/nn/test_containers.py
    assert layers <= bugged, f"no planted bug for {layers - bugged}"


# (what is wrong, the kernel, the compiled loop in the file of its twin, the line, what stands there instead)
NUMBA_BUGS = [
    ("a compiled ReLU that swallows NaN", "relu", "_relu_piece", "zero if value <= zero else value", "value if value > zero else zero"),
    ("a compiled ReLU with a slope at 0", "relu", "_relu_piece", "value > zero", "value >= zero"),
    ("a compiled ReLU's gradient that passes all", "relu_input_grad", "_scale_where_piece", "if kept[i] else zero", ""),
    ("a compiled ReLU's gradient of the first piece", "relu_input_grad", "_scale_where_piece", "piece(dx, task)", "piece(dx, 0)"),
    ("a compiled dropout without its scale", "dropout", "_dropout_piece", "(factor if keep", "(factor / factor if keep"),
    ("a compiled dropout that drops the others", "dropout", "_dropout_piece", "draws[i] >= least", "draws[i] < least"),
    ("a compiled dropout's gradient without its scale", "dropout_input_grad", "_scale_where_piece", "dy[i] * factor", "dy[i]"),
    ("a compiled dropout's gradient that passes all", "dropout_input_grad", "_scale_where_piece", "if kept[i] else zero", ""),
    ("a compiled erf without its sign", "erf", "_erf_piece", "math.erf(x[i])", "math.erf(abs(x[i]))"),
    ("a compiled erf that is a tanh", "erf", "_erf_piece", "math.erf(", "math.tanh("),
    ("a compiled sigmoid that overflows", "sigmoid", "_sigmoid_piece", "exp(-abs(x[i]))", "exp(-x[i])"),
    ("a compiled sigmoid of |x|", "sigmoid", "_sigmoid_piece", "one if x[i] >= zero else e", "one"),
    ("a compiled sigmoid's gradient without 1 − y", "sigmoid_input_grad", "_sigmoid_grad_piece", " * (one - y[i])", ""),
    ("a compiled sigmoid's gradient without y", "sigmoid_input_grad", "_sigmoid_grad_piece", "dy[i] * y[i] *", "dy[i] *"),
    ("a compiled tanh of half", "tanh", "_tanh_piece", "tanh_of_one(x[i])", "tanh_of_one(x[i] / 2)"),
    ("a compiled tanh of the first piece", "tanh", "_tanh_piece", "piece(y, task)", "piece(y, 0)"),
    ("a compiled tanh's gradient with 1 − y", "tanh_input_grad", "_tanh_grad_piece", "y[i] * y[i]", "y[i]"),
    ("a compiled tanh's gradient with 1 + y²", "tanh_input_grad", "_tanh_grad_piece", "one - y", "one + y"),
    ("a compiled line without its height", "three_lines", "_lines_piece", "second = s1 * value + h1", "second = s1 * value"),
    ("a compiled line on which 0 · ∞ is a number", "three_lines", "_lines_piece", "h0 if first_is_flat else", ""),
    ("a compiled line whose end belongs to the next", "three_lines", "_lines_piece", "value <= low", "value < low - 1"),
    ("a compiled line's gradient of the wrong side", "three_lines_input_grad", "_lines_grad_piece", "s2 if value >= high", "s0 if value >= high"),
    ("a compiled PReLU whose channels share a slope", "prelu", "_prelu_rows", "weight[row % len(weight)]", "weight[0]"),
    ("a compiled PReLU's gradient that leaks everywhere", "prelu_input_grad", "_prelu_grad_rows", "slope if positive else w * slope", "w * slope"),
    ("a compiled PReLU's terms of positive numbers", "prelu_input_grad", "_prelu_grad_rows", "zero if positive else", ""),
    ("a compiled curve's gradient without its slope", "slope_input_grad", "_slope_grad_piece", " * slope[i]", ""),
    ("a compiled GELU of another variance", "gelu", "_gelu_piece", "-half * value * value", "-value * value"),
    ("a compiled GELU with the constant 0.0447", "gelu", "_gelu_tanh_piece", "x.dtype.type(0.044715)", "x.dtype.type(0.0447)"),
    ("a compiled GELU whose slope has the constant 0.0447", "gelu", "_gelu_tanh_piece", "3 * 0.044715", "3 * 0.0447"),
    ("a compiled SiLU whose gate is fixed", "silu", "_silu_piece", "s * (one + value * (one - s))", "s"),
    ("a compiled Mish with the right side's gate on the left", "mish", "_mish_piece", "if right else e * (e + two)", ""),
    ("a compiled Mish without the sigmoid", "mish", "_mish_piece", "* (one - t * t) * s", "* (one - t * t)"),
    ("a compiled ELU's slope without its rate", "elu", "_elu_piece", "end * rate * (less + one)", "end * (less + one)"),
    ("a compiled ELU that ends at −1", "elu", "_elu_piece", "end * less", "less"),
    ("a compiled softplus without β", "softplus", "_softplus_piece", "above / beta", "above"),
    ("a compiled softplus whose far slope goes on", "softplus", "_softplus_piece", "one if linear else (one", "(one"),
    ("a compiled log-sigmoid's slope of the other side", "log_sigmoid", "_log_sigmoid_piece", "e if value >= zero else one", "one if value >= zero else e"),
    ("a compiled hardswish's slope of a hard sigmoid", "hardswish_input_grad", "_hardswish_grad_piece", "two * value + three", "value + three"),
    ("a compiled hardswish that goes on to the right", "hardswish", "_hardswish_piece", "six if gate >= six else", ""),
    ("a compiled softsign's slope that is not squared", "softsign", "_softsign_piece", "share * share", "share"),
    ("a compiled tanhshrink's slope of a tanh", "tanhshrink", "_tanhshrink_piece", "slope[i] = t * t", "slope[i] = 1 - t * t"),
    ("a compiled PReLU of long rows' first parts", "prelu", "_prelu_rows", "row * run + task % parts * PIECE", "row * run"),
    ("a compiled factor of the first image for all", "scale_channels", "_scale_rows", "scale[row]", "scale[0]"),
    ("a compiled factor that is 1 everywhere", "scale_channels", "_scale_rows", "factor * given[i]", "given[i]"),
    ("a compiled resampling of the first image", "resample", "_new_rows", "i // oh * h", "0"),
    ("a compiled resampling that forgets a row's weight", "resample", "_new_rows", "+= weight * x[row, c]", "+= x[row, c]"),
    ("a compiled resampling by the first column", "resample", "_new_rows", "mixture[columns[t, c]]", "mixture[columns[0, c]]"),
    ("a compiled border of zeros in all modes", "pad2d", "_pad_rows", "if shows < 0:", "if i % oh != shows:"),
    ("a compiled border of the first image", "pad2d", "_pad_rows", "i // oh * h + shows", "shows"),
    ("a compiled border that is one column short", "pad2d", "_pad_rows", "range(last, ow)", "range(last, ow - 1)"),
    ("a compiled border whose rows get no gradient back", "pad2d_input_grad", "_unpad_images", "if i - top != rows[i]:", "if i < 0:"),
    ("a compiled border whose gradient replaces the image's", "pad2d_input_grad", "_unpad_images", "+= dy[line, first + c]", "= dy[line, first + c]"),
    ("a compiled gradient of what was cut off", "pad2d_input_grad", "_unpad_images", "if 0 <= r + top < oh:", "if r + top < oh:"),
    ("a compiled border whose columns replace the image's", "pad2d_input_grad", "_unpad_images", "+= dy[line, c]\n            for", "= dy[line, c]\n            for"),
    ("a compiled GLU of the other half", "glu", "_glu_rows", "a[i] * s", "b[i] * s"),
    ("a compiled GLU that overflows", "glu", "_glu_rows", "exp(-abs(b[i]))", "exp(-b[i])"),
    ("a compiled GLU of the first rows", "glu", "_glu_rows", "task // parts * height", "0 * height"),
    ("a compiled GLU's gradient without its gate's slope", "glu_input_grad", "_glu_grad_rows", "* ((e if right else one) * share)", ""),
    ("a compiled GLU's gradient that ends with a", "glu_input_grad", "_glu_grad_rows", "dx[row, run + begin : run + end]", "dx[row, begin:end]"),
    ("a compiled softmax that overflows", "softmax", "shift", "x[i] - largest", "x[i]"),
    ("a compiled softmax of long rows that overflows", "softmax", "shifted_exponentials", "x[i] - largest", "x[i]"),
    ("a compiled softmax without its quotient", "softmax", "_some_rows", "one / add_up(result)", "one"),
    ("a compiled softmax across rows that sums the last", "softmax", "_some_columns", "total[j] += result[j]", "total[j] = result[j]"),
    ("a compiled softmax across rows of the first block", "softmax", "block_of", "task % blocks * WIDTH", "task % 1 * WIDTH"),
    ("a compiled softmax's gradient without its sum", "softmax_input_grad", "_some_rows_grad", "dys[j] - total", "dys[j]"),
    ("a compiled softmax's gradient that sums dy", "softmax_input_grad", "dot", "a[i] * b[i]", "a[i]"),
    ("a compiled softmax's gradient of the last row", "softmax_input_grad", "_some_columns_grad", "total[j] += dys", "total[j] = dys"),
    ("a compiled log-softmax without its logarithm", "log_softmax", "_some_log_rows", "np.log(add_up(again))", "add_up(again)"),
    ("a compiled log-softmax across rows of the last number", "log_softmax", "_some_log_columns", "total[j] += exp", "total[j] = exp"),
    ("a compiled log-softmax's gradient without its sum", "log_softmax_input_grad", "_some_log_rows_grad", "exp(ys[j]) * total", "exp(ys[j])"),
    ("a compiled log-softmax's gradient across rows of the last", "log_softmax_input_grad", "_some_log_columns_grad", "total[j] += dys", "total[j] = dys"),
    ("a compiled average of the last row", "avg_pool2d", "_add_row", "line[c] += row[c]", "line[c] = row[c]"),
    ("a compiled average of all windows before", "avg_pool2d", "_add_windows", "total = line.dtype.type(0)", "total = y[j - 1] * (j > 0)"),
    ("a compiled average's gradient that overwrites", "avg_pool2d_input_grad", "_share_task", "line[c] += share", "line[c] = share"),
    ("a compiled average's gradient without its divisor", "avg_pool2d_input_grad", "_share_task", " / counts[i * ow + j]", ""),
    ("a compiled adaptive average of the wrong rows", "adaptive_avg_pool2d", "_average_task", "image * h + rows[1, i]):", "image * h + rows[0, i] + 1):"),
    ("a compiled adaptive average not divided", "adaptive_avg_pool2d", "_average_task", "means[j] /= counts[i * ow + j]", "pass"),
    ("a compiled adaptive gradient of the first column", "adaptive_avg_pool2d_input_grad", "_share_task", "range(columns[0, j], columns[1, j])", "range(columns[0, j], columns[0, j] + 1)"),
    ("a compiled global average of all but one row", "adaptive_avg_pool2d", "_average_task", "x[(image * h + rows[0, i]) * w :", "x[(image * h + rows[0, i] + 1) * w :"),
    ("a compiled global gradient that overwrites", "adaptive_avg_pool2d_input_grad", "_add_to_all", "x[c] += share", "x[c] = share"),
    ("a compiled adaptive gradient that keeps the line", "adaptive_avg_pool2d_input_grad", "_share_task", "line[:] = 0", "line[: i == 0] = 0"),
    ("a compiled 2×2 max-pool of neighbouring rows", "max_pool2d", "_max_simple_task", "image * h + 2 * i", "image * h + i"),
    ("a compiled 2×2 gradient that leaves the last column", "max_pool2d_input_grad", "_spread_simple_task", "dx[top + w - 1] = 0", "dx[top + w - 1] = 1"),
    ("a compiled 2×2 gradient that leaves the last row", "max_pool2d_input_grad", "_spread_simple_task", "if h % 2:", "if h % 2 and w % 2 == 0:"),
    ("a compiled cross-entropy that is ignored never", "cross_entropy", "_cross_entropy", "if label != ignore_index:", "if True:"),
    ("a compiled cross-entropy that divides by rows", "cross_entropy", "_cross_entropy", "divisor += weight[label] if len(weight) else 1.0", "divisor += 1.0"),
    ("a compiled cross-entropy without the truth's share", "cross_entropy", "_some_rows", "dx[row, label] -= wanted", "pass"),
    ("a compiled cross-entropy smooths without weights", "cross_entropy", "_smooth", "weight[c] * (", "("),
    ("a compiled cross-entropy that overflows", "cross_entropy", "shift", "x[i] - largest", "x[i] + largest"),
    ("a compiled maximum that leaves out the last", "cross_entropy", "largest_of", "range(len(x))", "range(len(x) - 1)"),
    ("a compiled binary cross-entropy of the wrong sign", "cross_entropy_with_logits", "_binary_piece", "max(-z, zero)", "max(z, zero)"),
    ("a compiled binary cross-entropy without its truth", "cross_entropy_with_logits", "_binary_piece", "(one + e) - t", "(one + e)"),
    ("a compiled squared error, not squared", "squared_error", "_squares_of_run", "total += error[i] * error[i]", "total += error[i]"),
    ("a compiled squared error of the last piece", "squared_error", "_squares", "total += partial[piece]", "total = partial[piece]"),
    ("a compiled cross-entropy of probabilities that are not smoothed", "cross_entropy", "_against", "(keep * target[c] + spread)", "target[c]"),
    ("a compiled cross-entropy of probabilities without the softmax's weight", "cross_entropy", "_some_distributions", "shares / total", "1 / total"),
    ("a compiled cross-entropy of probabilities without 0 log 0 = 0", "cross_entropy", "_against", "zero if (q == zero) & (log_p == least) else log_p", "log_p"),
    ("a compiled sum of losses that is the last piece's", "clipped_error", "_all", "total += partial[piece]", "total = partial[piece]"),
    ("a compiled sum of losses of the last run", "absolute_error", "_some", "total += add_up(values)", "total = add_up(values)"),
    ("wrong targets that only the last run counts", "soft_margin", "_some", "count += _soft_margin(", "count = _soft_margin("),
    ("a compiled absolute error with a slope at 0", "absolute_error", "_absolute", "error > zero", "error >= zero"),
    ("a compiled Huber loss without its ½", "clipped_error", "_clipped", "half * c", "c"),
    ("a compiled Huber loss that is not clipped below", "clipped_error", "_clipped", "c = -limit if error < -limit else c", "pass"),
    ("a compiled soft margin that overflows", "soft_margin", "_soft_margin", "exp(-abs(z))", "exp(-z)"),
    ("a compiled soft margin with its slope turned", "soft_margin", "_soft_margin", "-t * (", "t * ("),
    ("a compiled Poisson loss without ε", "poisson_nll", "_poisson", "log(x[i] + eps)", "log(x[i] + eps + one)"),
    ("a compiled Stirling of all counts", "poisson_nll", "_poisson", "stirling if target[i] > one else zero", "stirling"),
    ("a compiled divergence without 0 log 0 = 0", "kl_divergence", "_kl", "one if t == zero else t", "t"),
    ("a compiled divergence that takes what is below 0", "kl_divergence", "_kl", "nan if target[i] < zero else target[i]", "target[i]"),
    ("a compiled binary cross-entropy without its least logarithm", "binary_cross_entropy", "_binary", "a = least if a < least else a", "pass"),
    ("a compiled binary cross-entropy without its least divisor", "binary_cross_entropy", "_binary", "product if pq < product else pq", "pq"),
    ("a compiled binary cross-entropy that takes any prediction", "binary_cross_entropy", "_binary", "(p < zero) | (p > one) | (t < zero) | (t > one)", "(p < zero) | (p > one) | (t < zero)"),
    ("a compiled likelihood of what is ignored", "nll", "_nll", "if label == ignore_index:", "if False:"),
    ("a compiled likelihood without weights", "nll", "_nll", "weight[label] if len(weight) else one", "one"),
    ("a compiled likelihood that takes any label", "nll", "_nll", "wrong += 1", "pass"),
    ("a compiled likelihood's gradient that is not 0 elsewhere", "nll_input_grad", "_put_rows", "dx[first:last] = 0", "dx[first:last] = 1"),
    ("a compiled likelihood's gradient in the first column", "nll_input_grad", "_put_rows", "dx[row, labels[row]]", "dx[row, 0]"),
    ("a compiled multi-margin over the right class too", "multi_margin", "_some_margins", "slope[label] = zero", "pass"),
    ("a compiled multi-margin whose right class is not pulled up", "multi_margin", "_some_margins", "-add_up(slope)", "zero"),
    ("a compiled multi-margin's squares without their 2", "multi_margin", "_slopes", "(z[i] + z[i])", "z[i]"),
    ("a compiled product of a vector with itself", "pair_products", "_three_dots", "a[i] * b[i]", "a[i] * a[i]"),
    ("a compiled pair's gradient without its own term", "pair_input_grads", "_some_grads", "m * second[i] + of_a * first[i]", "m * second[i]"),
    ("a compiled descent that climbs", "sgd_step", "_plain_piece", "-= lr * d", "+= lr * d"),
    ("a compiled momentum that is not kept", "sgd_step", "_momentum_piece", "b[i] = speed", "pass"),
    ("a compiled momentum that is never Nesterov's", "sgd_step", "_momentum_piece", "if nesterov else speed", "if False else speed"),
    ("a compiled Adam without its root", "adam_step", "_adam_piece", "math.sqrt(square)", "square"),
    ("a compiled Adam that decays afterwards", "adam_step", "_adam_piece", "= before - size", "= theta[i] - size"),
    ("a compiled SparseAdam of all rows in turn", "sparse_adam_step", "_sparse_adam_rows", "r = rows[j]", "r = j"),
    ("a compiled SparseAdam that forgets no mean", "sparse_adam_step", "_sparse_adam_rows", "(slopes[d] - means[d])", "slopes[d]"),
    ("a compiled batch norm with n − 1", "batch_norm", "_forward_channel", "var[task] = total / n", "var[task] = total / max(1, n - 1)"),
    ("a compiled batch norm whose variance is a mean square", "batch_norm", "square_deviations", "(part[i] - mean) * (part[i] - mean)", "part[i] * part[i]"),
    ("a compiled batch norm of vectors without γ", "batch_norm_fixed", "_forward_columns", "shift[j] / x.dtype", "1 / x.dtype"),
    ("a compiled batch norm without β", "batch_norm_fixed", "normalise", " + beta", ""),
    ("a compiled batch norm whose mean is taken as fixed", "batch_norm_input_grad", "_backward_channel", "scale * total / n", "0.0"),
    ("a compiled batch norm whose variance is taken as fixed", "batch_norm_input_grad", "gradient", "(x[i] - mean) * slope + shift", "shift"),
    ("a compiled batch norm that always moves with its input", "batch_norm_input_grad", "_backward_columns", "if of_batch else 0.0", "if True else 0.0"),
    ("a compiled batch norm of short images that loses pixels", "batch_norm", "fold", "(c + 1) * pixels", "c * pixels + 1"),
    ("a compiled batch norm of vectors that loses a piece", "batch_norm", "fold", "total[j] += row[j]", "total[j] += 0"),
    ("a compiled batch norm of vectors that sums the first rows", "batch_norm", "_sum_piece", "add_rows(x, first, last", "add_rows(x, 0, last - first"),
    ("a compiled batch norm of vectors without its last row", "batch_norm", "_square_piece", "if i < last:", "if False:"),
    ("a compiled batch norm of vectors with every second square", "batch_norm", "_square_piece", "+ (b[j] - mean[j]) * (b[j] - mean[j])", ""),
    ("a compiled batch norm of vectors in the first rows alone", "batch_norm", "_normalise_piece", "y[i]", "y[i - first]"),
    ("a compiled dγ of vectors without its last row", "batch_norm_input_grad", "_product_piece", "if i < last:", "if False:"),
    ("a compiled dγ of vectors of every second row", "batch_norm_input_grad", "_product_piece", "+ q[j] * (b[j] - mean[j])", ""),
    ("a compiled batch norm of vectors whose mean is taken as fixed", "batch_norm_input_grad", "_gradient_piece", "slope[j] + shift[j]", "slope[j]"),
    ("a compiled dγ without x̂", "batch_norm_input_grad", "deviation_products", "part[i] * (other[i] - mean)", "part[i]"),
    ("a compiled layer norm with n − 1", "group_norm", "_moments", "total / x.dtype.type(len(x))", "total / max(1, len(x) - 1)"),
    ("a compiled RMS norm that subtracts the mean", "group_norm", "_moments", "if centred:", "if True:"),
    ("a compiled layer norm of long rows that ignores its mean", "group_norm", "_moments_of_runs", "if centred else", "if not centred else"),
    ("a compiled group norm whose groups share γ", "group_norm", "_some_groups", "row % groups * wide", "0"),
    ("a compiled group norm whose channels share β", "group_norm", "_some_groups", "beta[first + c]", "beta[first]"),
    ("a compiled group norm of the first task alone", "group_norm", "_some_groups", "y[row]", "y[row - task * height]"),
    ("a compiled layer norm without eps on the way back", "group_norm_input_grad", "_some_images_back", "math.sqrt(var[row] + eps)", "math.sqrt(var[row])"),
    ("a compiled layer norm whose mean is taken as fixed", "group_norm_input_grad", "_some_images_back", "kind(level / (width * std)) if centred else kind(0)", "kind(0)"),
    ("a compiled RMS norm whose gradient subtracts the mean", "group_norm_input_grad", "_some_images_back", "if centred else kind(0)", ""),
    ("a compiled layer norm whose γ is lost in its sums", "group_norm_input_grad", "_weighted_sums", "dy[i] * gamma[i]", "dy[i]"),
    ("a compiled layer norm that forgets what a run added", "group_norm_input_grad", "_weighted_sums_of_runs", "product += along", "product = along"),
    ("compiled sums for γ that are kept for the next images", "group_norm_input_grad", "_move_to", "line[j] = 0", "pass"),
    ("compiled sums for γ without the last images", "group_norm_input_grad", "_some_images_back", " or image == last - 1", ""),
    ("a compiled group norm whose mean is taken as fixed", "group_norm_input_grad", "_some_groups_back", "kind(level / (width * std)) if centred else kind(0)", "kind(0)"),
    ("a compiled group norm whose channels share γ on the way back", "group_norm_input_grad", "_some_groups_back", "kind(gamma[first + c] / std)", "kind(gamma[first] / std)"),
    ("a compiled adaptive maximum that swallows NaN", "adaptive_max_pool2d", "_find_task", "not image[at] <= best and best == best", "image[at] > best"),
    ("a compiled adaptive maximum whose last equal wins", "adaptive_max_pool2d", "_find_task", "not image[at] <= best", "not image[at] < best"),
    ("a compiled adaptive maximum of the first rows", "adaptive_max_pool2d", "_find_task", "range(rows[0, i], rows[1, i])", "range(rows[0, 0], rows[1, 0])"),
    ("a compiled adaptive maximum's gradient that overwrites", "adaptive_max_pool2d_input_grad", "_give_back_task", "] += dy", "] = dy"),
    ("a compiled adaptive maximum's gradient on what was there", "adaptive_max_pool2d_input_grad", "_give_back_task", "image[:] = 0", "image[:] = 1"),
    ("compiled sums of rows without the last row", "sum_rows", "add_rows", "while i < last:", "while i < last - 1:"),
    ("compiled sums of rows that lose a piece", "sum_rows", "_sum_rows", "partial[0, j] += partial[piece, j]", "partial[0, j] += 0"),
    ("compiled sums of channels with the first image alone", "sum_channels", "_sum_channel", "range(len(x))", "range(min(1, len(x)))"),
    ("compiled sums of channels that forget what a run added", "sum_channels", "add_up", "total += value", "total = value"),
    ("compiled sums of short channels that share pixels", "sum_channels", "_sum_short", "(channel + 1) * pixels", "(channel + 1) * pixels - 1"),
    ("compiled rows that are looked up one off", "gather_rows", "_gather_piece", "table[indices[j]]", "table[max(0, indices[j] - 1)]"),
    ("compiled rows without the last piece", "gather_rows", "_gather", "-(-len(y) // run)", "len(y) // run"),
    ("compiled rows of which the last counts", "scatter_rows", "_scatter_piece", "target[d] += source[d]", "target[d] = source[d]"),
    ("compiled rows of which padding counts", "scatter_rows", "_sorted", "begin = np.zeros(rows + 1, np.int64)", "begin = np.zeros(rows + 1, np.int64); indices = np.maximum(indices, 0)"),
    ("compiled rows whose tasks leave some out", "scatter_rows", "_first_row", "rows if task == pieces else 0", "rows - 1 if task == pieces else 0"),
    ("compiled bags whose rows are the last ones", "move_rows", "_move_piece", "target[d] += source[d]", "target[d] = source[d]"),
    ("compiled bags of which three rows of four count", "move_rows", "_move_piece", " + e[d]", ""),
    ("compiled bags on what was there", "move_rows", "_move_piece", "target[d] = zero", "target[d] = 1"),
    ("compiled bags of which padding counts", "move_rows", "move_rows", "if sources.size and sources.min() < 0:", "if False:"),
    ("compiled maxima of positive numbers", "scatter_max", "_scatter_max_piece", "first | (value", "(value"),
    ("compiled maxima that pass NaN by", "scatter_max", "_scatter_max_piece", "((value != value) & (best == best))", "False"),
    ("compiled maxima of which the last of equals wins", "scatter_max", "_scatter_max_piece", "value > best", "value >= best"),
    ("a compiled maximum's gradient of the first columns", "scatter_winners", "_scatter_winners_strip", "task * STRIP, min", "task * 0, min"),
    ("a compiled maximum's gradient that overwrites", "scatter_winners", "_scatter_winners_strip", "y[row, d] += dy", "y[row, d] = dy"),
    ("a compiled maximum's gradient for padding", "scatter_winners", "_scatter_winners_strip", "if row >= 0", "if True"),
]  # fmt: skip


def differs_from_reference(kernel: Any, draws: int = 80) -> bool:
    twin = kernel.twins[np.ndarray]
    for seed in range(draws):
        name = kernel.reference.__name__
        arguments = ARGUMENTS[name](np.random.default_rng(seed), np.float64)
        pairs = zip(call(twin, name, arguments), call(kernel.reference, name, arguments), strict=True)
        if not all(np.allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True) for a, b in pairs):
            return True
    return False


def as_python(compiled: Any) -> Any:
    """The Python function that was compiled; for tasks, one that runs them one after the other."""
    if not hasattr(compiled, "body"):
        return compiled.py_func

    @functools.wraps(compiled.body)  # by which `planted` finds the body
    def for_all(team: int, n: int, arguments: tuple[Any, ...]) -> None:
        for task in range(n):
            compiled.body(task, 0, *arguments)

    return for_all


@pytest.mark.parametrize(
    ("name", "kernel", "loop", "old", "new"), NUMBA_BUGS, ids=[name for name, *_ in NUMBA_BUGS]
)
@pytest.mark.filterwarnings("ignore")  # plain Python warns of ∞ − ∞, compiled code does not
def test_a_wrong_twin_differs_from_its_reference(name, kernel, loop, old, new, monkeypatch):
    """The file's compiled loops, run as plain Python with the bug in one of them, are told from the reference."""
    pytest.importorskip("minidl.kernels.numba_cpu")
    twins = importlib.import_module(KERNELS[kernel].twins[np.ndarray].__module__)
    rows = importlib.import_module("minidl.kernels.numba_cpu.rows")  # whose loops several files share
    for module in (twins, rows):
        for attribute, compiled in list(vars(module).items()):
            if hasattr(compiled, "py_func"):
                monkeypatch.setattr(module, attribute, as_python(compiled))
    assert not differs_from_reference(KERNELS[kernel], draws=10)
    with planted(Bug(name, twins if hasattr(twins, loop) else rows, loop, old, new)):
        assert differs_from_reference(KERNELS[kernel])


# Loops on vector registers cannot run as plain Python: they are compiled anew with the bug in them.
# (what is wrong, the kernel, the file, the function, the line, what stands there instead)
VECTOR_BUGS = [
    ("a product whose later blocks of A are the first", "matmul", "products", "_matmul", "a, first_k * a_step, strip", "a, 0, strip"),
    ("a product that forgets the last column of a transposed A", "matmul", "products", "_copy_strip", "range(done, depth)", "range(done + 1, depth)"),
    ("a product packed from the wrong column", "matmul", "products", "_pack_panels", "(first_column + first) * b_column", "first * b_column"),
    ("a linear layer whose bias begins again in each block", "linear", "products", "_packed_block", "column if begin == BY_COLUMN", "left if begin == BY_COLUMN"),
    ("a max-pool whose padding wins", "max_pool2d", "maxima", "_largest_task", "x.dtype.type(-math.inf)", "x.dtype.type(0)"),
    ("a max-pool whose rows of windows are one apart", "max_pool2d", "maxima", "_largest_task", "i * step", "i"),
    ("a max-pool that copies the first phase alone", "max_pool2d", "maxima", "_lay_out", "row + first + j * phases", "row + j * phases"),
    ("a max-pool whose two phases overlap", "max_pool2d", "maxima", "_lay_out", "_split_8(x, row + 2 * j", "_split_8(x, row + j"),
    ("a max-pool of two phases without the last column", "max_pool2d", "maxima", "_lay_out", "if w % 2:", "if False:"),
    ("a max-pool that lets the padding win where all is −∞", "max_pool2d", "maxima", "_best_row", "_best_4(room, start + j, taps, first, begin + j", "_best_4(room, start + j, taps, first, j"),
    ("a max-pool whose last windows are the first", "max_pool2d", "maxima", "_best_row", "_best_8(room, start + j", "_best_8(room, start"),
    ("a max-pool that ignores the dilation", "max_pool2d", "maxima", "layout", "v * dilation[1]", "v"),
    ("a max-pool's gradient that overwrites", "max_pool2d_input_grad", "winners", "_add_row", "get(corner, cell) + get(dy, j)", "get(dy, j)"),
    ("a max-pool's gradient that overwrites at the edge", "max_pool2d_input_grad", "winners", "_add_edge", "get(image, cell) + get(dy, j)", "get(dy, j)"),
    ("a max-pool's gradient that loses the first column", "max_pool2d_input_grad", "winners", "_add_edge", "0 <= column", "0 < column"),
    ("a max-pool's gradient of the row's first windows twice", "max_pool2d_input_grad", "winners", "_give_back_task", "offset(dys, end)", "dys"),
    ("a max-pool's gradient whose edge is inside", "max_pool2d_input_grad", "winners", "corners", "u * dilation[0], v * dilation[1]", "u * dilation[0], v"),
    ("a product that begins with the bias in every block", "linear", "products", "_matmul", "begin if first_k == 0 else GO_ON", "begin"),
    ("rows by rows whose outputs share a bias", "linear", "inner", "_some_sums", "at(bias, j)", "at(bias, 0)"),
    ("rows by rows without the last outputs", "linear", "inner", "_block", "range(wide, n)", "range(wide, n - 1)"),
    ("rows by rows whose tasks take the first rows", "linear", "inner", "_some_sums", "at(x, i * depth)", "at(x, 0)"),
    ("rows by rows whose tasks take the first outputs", "linear", "inner", "_some_sums", "at(w, j * depth)", "at(w, 0)"),
    ("a convolution whose groups share a bias", "conv2d", "conv", "_conv_band", "group * filters if biased else 0", "0"),
    ("a convolution whose bands are one row off", "conv2d", "conv", "_conv_band", "columns, phases, first)", "columns, phases, first + (first > 0))"),
    ("an input gradient that loses the stride's phases", "conv2d_input_grad", "phases", "_join_planes", "row % a * b", "0"),
    ("an input gradient whose phases' last row is written too far", "conv2d_input_grad", "phases", "_join_planes", "copy_run(target, line, width)", "copy_run(target, line, width - 1)"),
    ("an input gradient whose phases stand in one another's columns", "conv2d_input_grad", "phases", "_join_planes", "interleave(target, source, planes * size, b, width)", "interleave(target, source, 0, b, width)"),
    ("images abreast that begin anew at each row of taps", "conv2d", "abreast", "_some_images", "begin = GO_ON\n", "pass\n"),
    ("images abreast whose groups share a bias", "conv2d", "abreast", "_some_images", "group * filters if biased else 0)", "0)"),
    ("images abreast that keep what no tap meets", "conv2d", "abreast", "_some_images", "if begin != GO_ON:", "if False:"),
    ("images abreast whose taps meet the row's first pixels", "conv2d_input_grad", "abreast", "_some_images", "(row * w + column)", "(row * w)"),
    ("images abreast whose groups share their taps", "conv2d_input_grad", "abreast", "_some_images", "group * filters * depth + tap", "tap"),
    ("images abreast whose last ones are the first again", "conv2d_input_grad", "abreast", "_some_images", "((image + some) * groups + group) * filters", "(image * groups + group) * filters"),
    ("an input gradient of filters in reverse", "conv2d_input_grad", "conv", "conv2d_input_grad", ".swapaxes(1, 2)", ".swapaxes(1, 2)[:, :, ::-1]"),
    ("a weight gradient of the last image alone", "conv2d_weight_grad", "conv", "_weight_grad_piece", "begin = GO_ON", "begin = BLANK"),
    ("a weight gradient that loses a piece", "conv2d_weight_grad", "conv", "conv2d_weight_grad", "total += piece", "total += 0 * piece"),
    ("a weight gradient of few filters in the first group's place", "conv2d_weight_grad", "conv", "_weight_grad_piece", "(part + first_channel * per_channel) * lanes", "(first_channel * per_channel) * lanes"),
    ("windows side by side, each a pixel early", "conv2d", "columns", "_move_channel", "j * column_stride + shift", "j * column_stride"),
    ("windows side by side that read beyond the row", "conv2d", "columns", "_move_channel", "(width - 1 - shift) //", "(width - shift) //"),
    ("windows side by side that are not added up", "conv2d_input_grad", "columns", "_move_channel", "get(source, t) + get(window, t)", "get(window, t)"),
    ("windows side by side whose images change places", "conv2d", "columns", "correlate", "transpose(3, 0, 1, 2)", "transpose(3, 0, 1, 2)[::-1]"),
    ("a weight gradient of the last images alone", "conv2d_weight_grad", "columns", "weight_grad", "begin = GO_ON\n        return", "begin = BLANK\n        return"),
    ("a product in blocks whose rows share a bias", "conv2d", "products", "_packed_block", "i if begin == BY_ROW else 0", "0"),
    ("a depthwise convolution of the first channels alone", "conv2d", "depthwise", "_lay_out", "(image * groups + channel)", "(image * groups)"),
    ("a depthwise convolution without zeros above", "conv2d", "depthwise", "_lay_out", "(inside - begin) * across * lanes", "0 * lanes"),
    ("a depthwise convolution without zeros below", "conv2d", "depthwise", "_lay_out", "(end - outside) * across * lanes", "0 * lanes"),
    ("a depthwise convolution whose channels share a filter", "conv2d", "depthwise", "_some_outputs", "weight[g, result, k]", "weight[channel, result, k]"),
    ("a depthwise convolution whose filters share a bias", "conv2d", "depthwise", "_some_outputs", "g * results + result", "g * results"),
    ("a depthwise convolution that ignores its stride", "conv2d", "depthwise", "_some_outputs", "* stride[0] * across", "* across"),
    ("a depthwise row that loses its end", "conv2d", "depthwise", "_sum_row", "while j < n:", "while j < n - 1:"),
    ("a depthwise input gradient of the first phase alone", "conv2d_input_grad", "depthwise", "_some_outputs", "row % steps[0] * steps[1] + column", "0"),
    ("a depthwise weight gradient of the last image alone", "conv2d_weight_grad", "depthwise", "_some_products", "for image in range(piece", "for image in range(1 + piece"),
    ("a depthwise weight gradient of the first rows", "conv2d_weight_grad", "depthwise", "_some_products", "row * width * lanes", "0 * width * lanes"),
    ("a depthwise weight gradient that loses a piece", "conv2d_weight_grad", "depthwise", "weight_grad", "total += piece", "total += 0 * piece"),
    ("Winograd's filters with a wrong sign", "conv2d", "winograd", "_transform_weight", "half * (a - b + d)", "half * (a + b + d)"),
    ("Winograd's input without its zeros", "conv2d_input_grad", "winograd", "_input_block", "0 <= here < height", "here < height"),
    ("Winograd's weight gradient of the first block", "conv2d_weight_grad", "winograd", "_weight_grad_piece", "begin = GO_ON", "break"),
    ("Winograd's weight gradient without its last column", "conv2d_weight_grad", "winograd", "_weight_from", "half * (b + c) + d", "half * (b + c)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kernel", "file", "function", "old", "new"), VECTOR_BUGS, ids=[name for name, *_ in VECTOR_BUGS]
)
def test_a_wrong_vector_loop_differs_from_its_reference(name, kernel, file, function, old, new, monkeypatch):
    numba = pytest.importorskip("numba")
    twins = importlib.import_module(f"minidl.kernels.numba_cpu.{file}")
    tasks = importlib.import_module("minidl.kernels.numba_cpu.tasks")
    options = importlib.import_module("minidl.kernels.numba_cpu.jit").OPTIONS
    monkeypatch.setattr(tasks, "jit", lambda body, **_: numba.njit(**options)(body))
    bug = Bug(name, twins, function, old, new)
    own = {
        attribute: compiled
        for attribute, compiled in vars(twins).items()
        if hasattr(compiled, "py_func")
        and getattr(compiled, "body", compiled.py_func).__module__ == twins.__name__
    }
    if function in own:  # else it is Python that runs as it stands
        compiled = own[function]
        body = getattr(compiled, "body", compiled.py_func)
        monkeypatch.setattr(twins, function, body)
        with planted(bug):
            monkeypatch.setattr(twins, function, compiled)
            for attribute, each in own.items():
                body = getattr(each, "body", None) or each.py_func
                # Machine code calls its parts by name: the honest code must not find these.
                monkeypatch.setattr(body, "__qualname__", f"{body.__qualname__}_with_{abs(hash(name))}")
                fresh = tasks.tasks(body) if hasattr(each, "body") else numba.njit(**options)(body)
                monkeypatch.setattr(twins, attribute, fresh)
            assert differs_from_reference(KERNELS[kernel])
    else:
        forget_plans()
        with planted(bug):
            assert differs_from_reference(KERNELS[kernel])
        forget_plans()
    monkeypatch.undo()
    assert not differs_from_reference(KERNELS[kernel], draws=10)  # all draws: test_same_as_reference


def test_every_twin_has_a_planted_bug():
    pytest.importorskip("minidl.kernels.numba_cpu")
    bugged = {kernel for _, kernel, *_ in (*NUMBA_BUGS, *VECTOR_BUGS)}
    assert {name for name, kernel in KERNELS.items() if np.ndarray in kernel.twins} <= bugged
