"""Room 2: the hot pure functions. One file per family is its readable NumPy reference; the folders beside
them hold faster twins under the same file names. `registry` decides which one runs.
"""

from minidl.kernels.activation import (
    dropout,
    dropout_input_grad,
    erf,
    relu,
    relu_input_grad,
    sigmoid,
    sigmoid_input_grad,
    tanh,
    tanh_input_grad,
)
from minidl.kernels.adaptive_maxima import adaptive_max_pool2d, adaptive_max_pool2d_input_grad
from minidl.kernels.averages import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_input_grad,
    avg_pool2d,
    avg_pool2d_input_grad,
)
from minidl.kernels.class_loss import multi_margin, nll, nll_input_grad
from minidl.kernels.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from minidl.kernels.curves import (
    elu,
    gelu,
    hardswish,
    hardswish_input_grad,
    log_sigmoid,
    mish,
    silu,
    slope_input_grad,
    softplus,
    softsign,
    tanhshrink,
)
from minidl.kernels.embedding import (
    bags_of,
    gather_rows,
    move_rows,
    scatter_max,
    scatter_rows,
    scatter_winners,
)
from minidl.kernels.gates import glu, glu_input_grad
from minidl.kernels.groups import group_norm, group_norm_input_grad
from minidl.kernels.lines import (
    prelu,
    prelu_input_grad,
    scale_channels,
    three_lines,
    three_lines_input_grad,
)
from minidl.kernels.loss import cross_entropy, cross_entropy_with_logits, squared_error
from minidl.kernels.normalization import (
    batch_norm,
    batch_norm_fixed,
    batch_norm_input_grad,
    move_statistics,
)
from minidl.kernels.optim import adam_step, sgd_step, sparse_adam_step
from minidl.kernels.padding import pad2d, pad2d_input_grad
from minidl.kernels.pointwise_loss import (
    absolute_error,
    binary_cross_entropy,
    clipped_error,
    kl_divergence,
    poisson_nll,
    soft_margin,
)
from minidl.kernels.pooling import max_pool2d, max_pool2d_input_grad
from minidl.kernels.probabilities import (
    log_softmax,
    log_softmax_input_grad,
    softmax,
    softmax_input_grad,
)
from minidl.kernels.products import linear, matmul
from minidl.kernels.registry import KERNELS, Kernel, get_backend, kernel, use_backend
from minidl.kernels.resampling import resample
from minidl.kernels.sums import sum_channels, sum_rows
from minidl.kernels.vector_pairs import pair_input_grads, pair_products

__all__ = [
    "KERNELS",
    "Kernel",
    "absolute_error",
    "adam_step",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_input_grad",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_input_grad",
    "avg_pool2d",
    "avg_pool2d_input_grad",
    "bags_of",
    "batch_norm",
    "batch_norm_fixed",
    "batch_norm_input_grad",
    "binary_cross_entropy",
    "clipped_error",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "cross_entropy",
    "cross_entropy_with_logits",
    "dropout",
    "dropout_input_grad",
    "elu",
    "erf",
    "gather_rows",
    "gelu",
    "get_backend",
    "glu",
    "glu_input_grad",
    "group_norm",
    "group_norm_input_grad",
    "hardswish",
    "hardswish_input_grad",
    "kernel",
    "kl_divergence",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_input_grad",
    "matmul",
    "max_pool2d",
    "max_pool2d_input_grad",
    "mish",
    "move_rows",
    "move_statistics",
    "multi_margin",
    "nll",
    "nll_input_grad",
    "pad2d",
    "pad2d_input_grad",
    "pair_input_grads",
    "pair_products",
    "poisson_nll",
    "prelu",
    "prelu_input_grad",
    "relu",
    "relu_input_grad",
    "resample",
    "scale_channels",
    "scatter_max",
    "scatter_rows",
    "scatter_winners",
    "sgd_step",
    "sigmoid",
    "sigmoid_input_grad",
    "silu",
    "slope_input_grad",
    "soft_margin",
    "softmax",
    "softmax_input_grad",
    "softplus",
    "softsign",
    "sparse_adam_step",
    "squared_error",
    "sum_channels",
    "sum_rows",
    "tanh",
    "tanh_input_grad",
    "tanhshrink",
    "three_lines",
    "three_lines_input_grad",
    "use_backend",
]
