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
from by_hand import BY_HAND
from component_table import SAMPLES
from kernel_arguments import ARGUMENTS, call

from minidl import models, nn
from minidl.kernels import (
    activation,
    adaptive_maxima,
    averages,
    conv,
    curves,
    embedding,
    groups,
    lines,
    normalization,
    pooling,
    probabilities,
    products,
)
from minidl.kernels import loss as loss_kernels
from minidl.kernels.registry import KERNELS, use_backend
from minidl.models.inception import Inception, InceptionAux
from minidl.models.mobilenetv2 import InvertedResidual
from minidl.models.resnet import BasicBlock, Bottleneck
from minidl.models.resnet_cifar import PaddedShortcut, PlainBlock
from minidl.nn import (
    batchnorm,
    layernorm,
    loss,
    padding,
    pixel_shuffle,
    pooling_1d,
    shrinkers,
    upsample,
)
from minidl.nn import conv as layers_conv
from minidl.nn.embedding import Table
from minidl.testing import CHECKS, Bug, planted

LAYER_BUGS = [
    (nn.Linear, Bug("weight gradient twice as large", nn.Linear, "backward", "kernels.matmul(dy.T, x2)", "2 * kernels.matmul(dy.T, x2)")),
    (nn.Linear, Bug("weight gradient transposed, poured into its shape", nn.Linear, "backward", "kernels.matmul(dy.T, x2)", "kernels.matmul(x2.T, dy).reshape(self.weight.shape)")),
    (nn.Linear, Bug("bias gradient is a mean", nn.Linear, "backward", "kernels.sum_rows(dy)", "dy.mean(axis=0)")),
    (nn.Linear, Bug("input gradient loses its sign", nn.Linear, "backward", "return kernels.matmul", "return -kernels.matmul")),
    (nn.Linear, Bug("bias added twice", products, "linear", "y + bias", "y + 2 * bias")),
    (nn.Linear, Bug("gradient overwrites", nn.Parameter, "add_grad", "self.grad + gradient", "gradient")),
    (nn.Linear, Bug("every gradient becomes float32", nn.Parameter, "add_grad", "total.astype(self.data.dtype, ", "total.astype(np.float32, ")),
    (nn.Linear, Bug("a frozen parameter collects", nn.Parameter, "add_grad", "if not self.requires_grad:", "if False:")),
    (nn.Linear, Bug("backward keeps its memory", nn.Module, "recall", "self._memory = None", "pass")),
    (nn.Linear, Bug("eval keeps a memory", nn.Module, "remember", "if keep else None", "if True else None")),
    (nn.Linear, Bug("upstream shapes are not checked", nn.Module, "recall", "if dy.shape != memory.shape:", "if False:")),
    (nn.Linear, Bug("a bad state dict is taken", nn.Module, "load_state_dict", "if problems:", "if False:")),
    (nn.Linear, Bug("state dict is not copied", nn.Module, "state_dict", "values.copy()", "values")),
    (nn.Linear, Bug("repr forgets the bias", nn.Linear, "extra_repr", ", bias={self.bias is not None}", "")),
    (nn.ReLU, Bug("ReLU passes everything", activation, "relu_input_grad", "np.where(positive, dy, 0)", "dy.copy()")),
    (nn.ReLU, Bug("ReLU in place", activation, "relu", "np.maximum(x, 0)", "np.maximum(x, 0, out=x)")),
    (nn.ReLU, Bug("ReLU swallows NaN", activation, "relu", "np.maximum(x, 0)", "np.fmax(x, 0)")),
    (nn.Sigmoid, Bug("sigmoid without 1 − y", activation, "sigmoid_input_grad", "dy * y * (1 - y)", "dy * y")),
    (nn.Sigmoid, Bug("sigmoid overflows", activation, "sigmoid", "np.exp(-np.abs(x))", "np.exp(-x)")),
    (nn.Sigmoid, Bug("sigmoid's memory is its output", activation, "sigmoid", "y.copy()", "y")),
    (nn.Sigmoid, Bug("sigmoid makes float64", activation, "sigmoid", "/ (1 + e)", "/ (np.float64(1) + e)")),
    (nn.Tanh, Bug("tanh with 1 − y", activation, "tanh_input_grad", "(1 - y * y)", "(1 - y)")),
    (nn.Softmax, Bug("softmax's gradient is nothing", probabilities, "softmax_input_grad", "y * (dy - (dy * y).sum(axis=dim, keepdims=True))", "0 * (y + dy + dim)")),
    (nn.Softmax, Bug("softmax sums the wrong axis", probabilities, "softmax_input_grad", "sum(axis=dim", "sum(axis=0")),
    (nn.Softmax, Bug("softmax without the maximum", probabilities, "softmax", "x - x.max(axis=dim, keepdims=True, initial=-np.inf)", "x")),
    (nn.Softmax, Bug("softmax's sum loses y", probabilities, "softmax_input_grad", "(dy * y).sum(", "dy.sum(")),
    (nn.Dropout2d, Bug("dropout of channels without its scale", nn.Dropout2d, "forward", " * dropout_scale(self.p)", "")),
    (nn.AlphaDropout, Bug("alpha dropout drops to 0", nn.AlphaDropout, "forward", "self.ALPHA * (1 - m)", "0 * (1 - m)")),
    (nn.AlphaDropout, Bug("alpha dropout's a is lost on the way back", nn.AlphaDropout, "forward", "self.remember(a * m,", "self.remember(m,")),
    (nn.Identity, Bug("identity returns its input", nn.Identity, "forward", "x.copy()", "x")),
    (nn.ReLU6, Bug("ReLU6 goes on above 6", nn.ReLU6, "backward", "(0, 1, 0)", "(0, 1, 1)")),
    (nn.LeakyReLU, Bug("leaky ReLU leaks nothing on the way back", nn.LeakyReLU, "backward", "(a, 1, 1)", "(0 * a, 1, 1)")),
    (nn.LeakyReLU, Bug("leaky ReLU has slope 1 at 0", lines, "three_lines_input_grad", "x <= low", "x < low")),
    (nn.PReLU, Bug("the slopes' gradient counts positive numbers too", lines, "prelu_input_grad", "np.where(positive, 0, x * dy)", "x * dy")),
    (nn.PReLU, Bug("PReLU's slopes run along the last dimension", lines, "_along", "weight.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else", "weight.reshape(-1, 1)[: x.shape[-2]] if x.ndim > 1 else")),
    (nn.Threshold, Bug("a threshold that gives itself", nn.Threshold, "forward", "(self.value, 0, 0)", "(self.threshold, 0, 0)")),
    (nn.ELU, Bug("ELU's slope without α", curves, "elu", "scale * alpha * rate * np.exp", "scale * alpha**0 * rate * np.exp")),
    (nn.ELU, Bug("ELU overflows", curves, "elu", "np.minimum(x, 0)", "x")),
    (nn.SELU, Bug("SELU's scale is lost on the way back", curves, "elu", "np.where(x > 0, scale, scale * alpha * rate", "np.where(x > 0, 1, alpha * rate")),
    (nn.CELU, Bug("CELU is an ELU", nn.CELU, "forward", "1 / self.alpha", "self.alpha**0")),
    (nn.Softplus, Bug("softplus forgets its β", curves, "softplus", " / beta", "")),
    (nn.Softplus, Bug("softplus overflows", curves, "softplus", "np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))", "np.log1p(np.exp(z))")),
    (nn.GELU, Bug("GELU's constant is 0.0447", curves, "gelu", "(x + 0.044715 * x", "(x + 0.0447 * x")),
    (nn.GELU, Bug("GELU's slope with the constant 0.0447", curves, "gelu", "3 * 0.044715 * x * x)", "3 * 0.0447 * x * x)")),
    (nn.GELU, Bug("GELU makes float64", curves, "gelu", "x * math.sqrt(0.5)", "x * np.sqrt(0.5)")),
    (nn.GELU, Bug("GELU's density of another variance", curves, "gelu", "np.exp(-0.5 * x * x)", "np.exp(-x * x)")),
    (nn.SiLU, Bug("SiLU's gate is fixed", curves, "silu", "s * (1 + x * (1 - s))", "s")),
    (nn.Mish, Bug("Mish without the sigmoid", curves, "mish", "* (1 - t * t) * s", "* (1 - t * t)")),
    (nn.Hardswish, Bug("hardswish of a hard sigmoid's slope", curves, "hardswish", "(2 * x + 3) / 6", "(x + 3) / 6")),
    (nn.Hardswish, Bug("hardswish's slope at −3", curves, "hardswish", "x <= -3", "x < -3")),
    (nn.GLU, Bug("GLU takes the first half as the gate", nn.GLU, "forward", "a, b = ", "b, a = ")),
    (nn.GLU, Bug("GLU's gate has no slope", nn.GLU, "backward", "da * a * (1 - s)", "0 * da")),
    (nn.Softsign, Bug("softsign's slope is not squared", nn.Softsign, "backward", "dy / scale / scale", "dy / scale")),
    (nn.Hardtanh, Bug("hardtanh passes all", nn.Hardtanh, "backward", "(0, 1, 0)", "(1, 1, 1)")),
    (nn.Hardsigmoid, Bug("hard sigmoid's slope is 1", nn.Hardsigmoid, "backward", "1 / 6", "1")),
    (nn.LogSigmoid, Bug("log-sigmoid's slope is the sigmoid", curves, "log_sigmoid", "sigmoid.reference(-x)", "sigmoid.reference(x)")),
    (nn.LogSigmoid, Bug("the logarithm of a sigmoid", curves, "log_sigmoid", "np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))", "np.log(sigmoid.reference(x)[0])")),
    (nn.Tanhshrink, Bug("tanhshrink's slope is a tanh's", nn.Tanhshrink, "backward", "dy * t * t", "dy * (1 - t * t)")),
    (nn.Softshrink, Bug("softshrink passes all", nn.Softshrink, "backward", "(1, 0, 1)", "(1, 1, 1)")),
    (nn.Hardshrink, Bug("hardshrink keeps its edge", shrinkers, "beyond", "np.nextafter(limit, math.inf)", "limit")),
    (nn.Hardshrink, Bug("hardshrink swallows NaN", lines, "three_lines", "middle)", "np.nan_to_num(middle))")),
    (nn.LogSoftmax, Bug("log-softmax without the sum of dy", probabilities, "log_softmax_input_grad", "dy.sum(axis=dim, keepdims=True)", "dy")),
    (nn.LogSoftmax, Bug("log-softmax overflows", probabilities, "log_softmax", "x - x.max(axis=dim, keepdims=True, initial=-np.inf)", "x")),
    (nn.Softmin, Bug("softmin forgets its sign on the way back", nn.Softmin, "backward", "return -kernels", "return kernels")),
    (nn.Dropout, Bug("dropout without its scale", activation, "dropout_scale", "1 / (1 - p)", "1")),
    (nn.Dropout, Bug("dropout in eval too", nn.Dropout, "forward", "not self.training or self.p == 0", "self.p == 0")),
    (nn.Dropout, Bug("dropout with NumPy's global generator", nn.Dropout, "_draws", "(self.rng or default_generator()).random(shape, dtype=np.float32)", "np.random.random(shape)")),
    (nn.Dropout, Bug("dropout returns its input in eval", nn.Dropout, "forward", "y = x.copy()", "y = x")),
    (nn.Flatten, Bug("flatten returns a view", nn.Flatten, "forward", "x.copy().reshape", "x.reshape")),
    (nn.Flatten, Bug("flatten in Fortran order", nn.Flatten, "forward", "*x.shape[end + 1 :])", "*x.shape[end + 1 :], order='F')")),
    (nn.BatchNorm2d, Bug("batch norm's backward without eps", normalization, "batch_norm_input_grad", "1 / np.sqrt(var + eps)", "1 / np.sqrt(var)")),
    (nn.BatchNorm1d, Bug("batch norm's backward without eps, small eps", normalization, "batch_norm_input_grad", "1 / np.sqrt(var + eps)", "1 / np.sqrt(var)")),
    (nn.BatchNorm2d, Bug("batch norm without eps", normalization, "batch_norm_fixed", "np.sqrt(var + eps)", "np.sqrt(var)")),
    (nn.BatchNorm2d, Bug("batch norm's mean is taken as fixed", normalization, "batch_norm_input_grad", "through_mean + through_var", "through_var")),
    (nn.BatchNorm2d, Bug("batch norm's variance is taken as fixed", normalization, "batch_norm_input_grad", "through_mean + through_var", "through_mean")),
    (nn.BatchNorm2d, Bug("batch norm forgets γ on the way back", normalization, "batch_norm_input_grad", "if gamma is None else gamma * inv_std", "if True else gamma")),
    (nn.BatchNorm2d, Bug("dγ without x̂", normalization, "batch_norm_input_grad", "(dy * xhat).sum(", "dy.sum(")),
    (nn.BatchNorm2d, Bug("running variance with n", batchnorm._BatchNorm, "forward", "var * (n / (n - 1))", "var")),
    (nn.BatchNorm2d, Bug("momentum the wrong way round", batchnorm._BatchNorm, "_track", "(1 - m) * self.running_mean + m * mean", "m * self.running_mean + (1 - m) * mean")),
    (nn.BatchNorm1d, Bug("cumulative average is off by one", batchnorm._BatchNorm, "_track", "1 / int(self.num_batches_tracked)", "1 / (1 + int(self.num_batches_tracked))")),
    (nn.BatchNorm1d, Bug("eval moves the running statistics", batchnorm._BatchNorm, "forward", "            y = kernels.batch_norm_fixed(x, mean, var, gamma, beta, self.eps)", "            y = kernels.batch_norm_fixed(x, mean, var, gamma, beta, self.eps); self._track(x.mean(axis=0), x.var(axis=0)) if x.ndim == 2 else None")),
    (nn.Conv2d, Bug("convolution's bias gradient misses an axis", nn.Conv2d, "backward", "kernels.sum_channels(dy)", "kernels.sum_channels(dy[:, :, 0])")),
    (nn.Conv2d, Bug("the dilation stands for the padding on the way back", nn.Conv2d, "backward", "x.shape, *self._how)", "x.shape, self._how[0], self._how[2], *self._how[2:])")),
    (nn.Conv1d, Bug("the odd pixel of padding='same' comes first", nn.Conv1d, "_around", "(span // 2, span - span // 2)", "(span - span // 2, span // 2)")),
    (nn.Conv1d, Bug("a border of zeros, whatever the mode", nn.Conv1d, "forward", "pad(x, self._border, self.padding_mode)", "pad(x, self._border, 'zeros')")),
    (nn.Conv1d, Bug("a signal's border is always zeros", nn.Conv1d, "_share_padding", "self.padding_mode == \"zeros\"", "True")),
    (nn.Conv1d, Bug("a signal's numbers run along its height", layers_conv, "_both", "(height, *sizes)[-2:]", "(*sizes, height)[:2]")),
    (nn.Conv1d, Bug("a border's gradient is lost", nn.Conv1d, "backward", "dx = unpad(dx, shape, self._border, self.padding_mode)", "dx = unpad(dx, shape, self._border, 'zeros')")),
    (nn.ConvTranspose2d, Bug("a transposed convolution takes its bias away", nn.ConvTranspose2d, "forward", "y += self.bias", "y -= self.bias")),
    (nn.ConvTranspose2d, Bug("output_padding is lost", nn.ConvTranspose2d, "_canvas", "[least + more for", "[least + 0 * more for")),
    (nn.ConvTranspose2d, Bug("padding is cut off on one side", nn.ConvTranspose2d, "_canvas", "size - 2 * cut", "size - cut")),
    (nn.ConvTranspose2d, Bug("what padding cut off does not come back", nn.ConvTranspose2d, "_canvas", "(-left, width + left - w,", "(0, width - w,")),
    (nn.ConvTranspose2d, Bug("a transposed convolution's bias counts the first row", nn.ConvTranspose2d, "backward", "kernels.sum_channels(dy)", "kernels.sum_channels(dy[:, :, :1])")),
    (nn.ZeroPad2d, Bug("a border of ones", padding, "pad", "np.zeros_like(x, ", "np.ones_like(x, ")),
    (nn.ZeroPad2d, Bug("what was cut off gets a gradient", padding, "unpad", "np.zeros_like(dy, ", "np.ones_like(dy, ")),
    (nn.ReflectionPad2d, Bug("a mirror that repeats the edge", padding, "_lines", "-place if", "-place - 1 if")),
    (nn.ReflectionPad2d, Bug("a mirror at the end that repeats the edge", padding, "_lines", "2 * last - place", "2 * last + 1 - place")),
    (nn.ReplicationPad2d, Bug("the first edge on all sides", padding, "_lines", "0 if place < 0 else last", "0")),
    (nn.CircularPad2d, Bug("a tile's own gradient is lost", padding, "unpad", "pixels += dy[line]", "pixels[...] = dy[line]")),
    (nn.CircularPad2d, Bug("tiles that are one pixel off", padding, "_lines", "place % (last + 1)", "(place + 1) % (last + 1)")),
    (nn.PixelShuffle, Bug("columns of pixels the other way round", pixel_shuffle, "_to_pixels", "x[..., j, :, :]", "x[..., r - 1 - j, :, :]")),
    (nn.PixelUnshuffle, Bug("rows and columns of pixels change places", pixel_shuffle, "_to_channels", "n + 2, n + 4", "n + 4, n + 2")),
    (nn.Upsample, Bug("pixels by their corners, not their middles", upsample, "_matrix", "(at + 0.5) * step - 0.5", "at * step")),
    (nn.Upsample, Bug("pixels' shares change places", upsample, "_matrix", "np.stack([1 - share, share])", "np.stack([share, 1 - share])")),
    (nn.Upsample, Bug("an old pixel's share is forgotten on the way back", upsample, "_transposed", "= new, weight", "= new, weight**0")),
    (nn.Upsample, Bug("every factor is recomputed", nn.Upsample, "_sizes_and_steps", "is None or self.recompute_scale_factor", "is None or True")),
    (nn.Upsample, Bug("rows go the columns' way", nn.Upsample, "backward", "_mix(_mix(dy, rows, -2), columns, -1)", "_mix(_mix(dy, columns, -2), rows, -1)")),
    (nn.Conv2d, Bug("unfold ignores the dilation", conv, "unfold", "::dh, ::dw]", "::1, ::1][..., : kernel_size[0], : kernel_size[1]]")),
    (nn.Conv2d, Bug("fold overwrites where windows overlap", conv, "fold", "columns] += patches", "columns] = patches")),
    (nn.Conv2d, Bug("fold forgets the padding", conv, "fold", "padded[:, :, ph : ph + height, pw : pw + width]", "padded[:, :, :height, :width]")),
    (nn.Conv2d, Bug("groups mix", conv, "conv2d", "(rows @ columns)", "(rows[::-1] @ columns)")),
    (nn.Conv2d, Bug("weight gradient is a mean over images", conv, "conv2d_weight_grad", ".sum(axis=0)", ".mean(axis=0)")),
    (nn.Conv2d, Bug("input gradient with the filters in reverse", conv, "conv2d_input_grad", "rows.swapaxes(1, 2) @ dy", "rows[:, ::-1].swapaxes(1, 2) @ dy")),
    (nn.MaxPool2d, Bug("max-pool pads with 0", pooling, "max_pool2d", "wins &= inside[:, :, u, v]", "cell = np.where(inside[:, :, u, v], cell, 0)")),
    (nn.MaxPool2d, Bug("max-pool takes the minimum", pooling, "max_pool2d", "(cell > y)", "(cell < y)")),
    (nn.MaxPool2d, Bug("max-pool's gradient goes to every cell", pooling, "max_pool2d_input_grad", "winners[:, :, None, None] == taps", "taps >= 0")),
    (nn.AvgPool2d, Bug("average counts the padding always", averages, "window_counts", "if count_include_pad else (0, size)", "if True else (0, size)")),
    (nn.AvgPool2d, Bug("average never divides the gradient", averages, "avg_pool2d_input_grad", "dy / counts.astype(dy.dtype)", "dy / counts.astype(dy.dtype) ** 0")),
    (nn.AvgPool2d, Bug("overhanging windows count beyond the end", averages, "window_counts", "np.minimum(start + cells, high)", "start + cells")),
    (nn.AdaptiveAvgPool2d, Bug("adaptive windows do not overlap", averages, "adaptive_windows", "-(-(i + 1) * size // windows)", "max(i * size // windows + 1, (i + 1) * size // windows)")),
    (nn.AdaptiveAvgPool2d, Bug("adaptive gradient is not shared", averages, "adaptive_avg_pool2d_input_grad", " / cells", " * 1.0")),
    (nn.MaxPool1d, Bug("a sequence's pool of stride 1", pooling_1d._Pool1d, "_window", "(1, self.stride)", "(1, 1)")),
    (nn.MaxPool1d, Bug("a sequence's pool without its dilation", pooling_1d._Pool1d, "_window", "(1, self.dilation)", "(1, 1)")),
    (nn.MaxPool1d, Bug("a sequence's winners are numbered in their windows", nn.MaxPool1d, "forward", "winner_positions(winners, x.shape[2], *self._window())", "winners")),
    (nn.AvgPool1d, Bug("a sequence's average counts its padding", nn.AvgPool1d, "_how", "self.count_include_pad, None", "True, None")),
    (nn.AvgPool1d, Bug("a sequence's average drops its last window", nn.AvgPool1d, "_how", "self.ceil_mode", "False")),
    (nn.AdaptiveAvgPool1d, Bug("a sequence's average of one window fewer", nn.AdaptiveAvgPool1d, "forward", "(1, self.output_size)", "(1, max(1, self.output_size - 1))")),
    (nn.AdaptiveAvgPool1d, Bug("a sequence's average gives its sum back", nn.AdaptiveAvgPool1d, "backward", "dy[:, :, None]", "dy[:, :, None] * input_shape[3]")),
    (nn.AdaptiveMaxPool2d, Bug("adaptive maxima that overwrite", adaptive_maxima, "adaptive_max_pool2d_input_grad", "np.add.at(dx, (np.arange(n * c)[:, None], winners.reshape(windows)), dy.reshape(windows))", "dx[np.arange(n * c)[:, None], winners.reshape(windows)] = dy.reshape(windows)")),
    (nn.AdaptiveMaxPool2d, Bug("adaptive minima", adaptive_maxima, "adaptive_max_pool2d", "cells.argmax(", "cells.argmin(")),
    (nn.AdaptiveMaxPool2d, Bug("adaptive winners are numbered in their windows", adaptive_maxima, "adaptive_max_pool2d", "here[best]", "best")),
    (nn.LayerNorm, Bug("layer norm's backward without eps", groups, "group_norm_input_grad", "np.sqrt(var + eps)", "np.sqrt(var)")),
    (nn.LayerNorm, Bug("layer norm's mean is taken as fixed", groups, "group_norm_input_grad", "dx -= dxhat.mean(axis=2, keepdims=True, dtype=np.float64).astype(x.dtype)", "pass")),
    (nn.LayerNorm, Bug("layer norm's variance is taken as fixed", groups, "group_norm_input_grad", "dxhat - xhat * share", "dxhat.copy()")),
    (nn.LayerNorm, Bug("layer norm's variance with n − 1", groups, "group_norm", "(deviation * deviation).mean(axis=2, dtype=np.float64)", "(rows.var(axis=2, ddof=1) if rows.shape[2] > 1 else 0 * mean)")),
    (nn.LayerNorm, Bug("layer norm's variance as a difference of squares", groups, "group_norm", "(deviation * deviation).mean(axis=2, dtype=np.float64)", "((rows * rows).mean(axis=2) - mean * mean)")),
    (nn.RMSNorm, Bug("RMS norm subtracts the mean", groups, "group_norm", "if centred:", "if True:")),
    (nn.RMSNorm, Bug("RMS norm's gradient subtracts the mean", groups, "group_norm_input_grad", "if centred:", "if True:")),
    (nn.RMSNorm, Bug("RMS norm's eps is float32's", layernorm._GroupNorm, "_forward", "np.finfo(x.dtype)", "np.finfo(np.float32)")),
    (nn.GroupNorm, Bug("groups of every other channel", groups, "group_norm", "rows = x.reshape(len(x), groups, x.shape[1] // groups * x.shape[2])", "rows = x.reshape(len(x), -1, groups, x.shape[2]).swapaxes(1, 2).reshape(len(x), groups, x.shape[1] // groups * x.shape[2])")),
    (nn.GroupNorm, Bug("dγ without x̂, of groups", groups, "group_norm_input_grad", "(dy * xhat.reshape(x.shape)).sum(", "dy.sum(")),
    (nn.GroupNorm, Bug("γ is lost on the way back, of groups", groups, "group_norm_input_grad", "dy if gamma is None else dy * gamma[:, None]", "dy")),
    (nn.InstanceNorm2d, Bug("instance norm's running variance with n", nn.InstanceNorm2d, "forward", "var.mean(axis=0) * (n / (n - 1))", "var.mean(axis=0)")),
    (nn.InstanceNorm2d, Bug("instance norm's running mean is a sum", nn.InstanceNorm2d, "forward", "mean.mean(axis=0)", "mean.sum(axis=0)")),
    (nn.InstanceNorm2d, Bug("instance norm is batch norm", nn.InstanceNorm2d, "forward", "not self.training and self.running_mean is not None", "True")),
    (nn.InstanceNorm2d, Bug("instance norm never uses its running statistics", nn.InstanceNorm2d, "forward", "if not self.training and self.running_mean is not None:", "if False:")),
    (nn.LocalResponseNorm, Bug("an even size looks after, not before", nn.LocalResponseNorm, "forward", "self.size // 2, (self.size - 1) // 2", "(self.size - 1) // 2, self.size // 2")),
    (nn.LocalResponseNorm, Bug("the neighbours are not turned round on the way back", nn.LocalResponseNorm, "backward", "(self.size - 1) // 2, self.size // 2", "self.size // 2, (self.size - 1) // 2")),
    (nn.LocalResponseNorm, Bug("the neighbours are taken as fixed", nn.LocalResponseNorm, "backward", "dx - 2 *", "dx - 0 *")),
    (nn.LocalResponseNorm, Bug("α is not divided by the size", nn.LocalResponseNorm, "forward", "self.alpha / self.size", "self.alpha")),
    (nn.LocalResponseNorm, Bug("a sum of as many channels, but the last", nn.LocalResponseNorm, "_sum_around", "range(1, self.size)", "range(1, max(1, self.size - 1))")),
    (nn.MSELoss, Bug("squared error without its 2", nn.MSELoss, "backward", "2 * self._share", "self._share")),
    (nn.MSELoss, Bug("squared error with its sign turned", loss_kernels, "squared_error", "error = prediction - target", "error = target - prediction")),
    (nn.MSELoss, Bug("the mean is a sum on the way back", loss.Loss, "_share", "if self.reduction in (\"sum\", \"none\")", "if True")),
    (nn.MSELoss, Bug("targets broadcast", loss.Loss, "check_same_shape", "if prediction.shape != target.shape:", "if prediction.ndim != target.ndim:")),
    (nn.BCEWithLogitsLoss, Bug("binary cross-entropy overflows", loss_kernels, "cross_entropy_with_logits", "np.maximum(-x, 0) + np.log1p(e)", "np.log1p(np.exp(-x))")),
    (nn.BCEWithLogitsLoss, Bug("pos_weight lost on the way back", loss_kernels, "cross_entropy_with_logits", "((v - 1) * t + 1) * (sigmoid - 1)", "(sigmoid - 1)")),
    (nn.BCEWithLogitsLoss, Bug("weight lost on the way back", loss_kernels, "cross_entropy_with_logits", "return losses, w * (", "return losses, (")),
    (nn.CrossEntropyLoss, Bug("cross-entropy without q", loss_kernels, "cross_entropy", "keepdims=True) - q ", "keepdims=True) ")),
    (nn.CrossEntropyLoss, Bug("weights do not scale the softmax", loss_kernels, "cross_entropy", "sums * q.sum(axis=1, keepdims=True)", "sums * (q.sum(axis=1, keepdims=True) != 0)")),
    (nn.CrossEntropyLoss, Bug("ignored positions count", loss_kernels, "_wanted", "q *= weight * kept[:, None]", "q *= weight")),
    (nn.CrossEntropyLoss, Bug("mean over positions, not weights", loss_kernels, "_wanted", "(weight[inside] * kept).sum(", "kept.sum(")),
    (nn.CrossEntropyLoss, Bug("smoothing takes nothing from the truth", loss_kernels, "_wanted", "q[np.arange(rows), inside] += 1 - label_smoothing", "q[np.arange(rows), inside] += 1")),
    (nn.CrossEntropyLoss, Bug("cross-entropy overflows", loss_kernels, "cross_entropy", "x - x.max(axis=1, keepdims=True, initial=-np.inf)", "x")),
    (nn.CrossEntropyLoss, Bug("classes land on the wrong axis", nn.CrossEntropyLoss, "_from_rows", "shape[1]), -1, 1)", "shape[1]), 1, -1).reshape(shape)")),
    (nn.CrossEntropyLoss, Bug("labels are not checked", loss_kernels, "check_labels", "if wrong.any():", "if False:")),
    (nn.L1Loss, Bug("the absolute error's slope at 0", nn.L1Loss, "backward", "np.sign(error)", "np.where(error >= 0, 1.0, -1.0)")),
    (nn.HuberLoss, Bug("Huber's squares without ½", nn.HuberLoss, "forward", "error - slope / 2", "error")),
    (nn.HuberLoss, Bug("Huber's lines have slope 1", nn.HuberLoss, "backward", "slope * self", "np.clip(slope, -1, 1) / self.delta * self")),
    (nn.SmoothL1Loss, Bug("the smooth absolute error forgets its β", nn.SmoothL1Loss, "forward", "-b, b) / b", "-b, b)")),
    (nn.BCELoss, Bug("the gradient of logits for probabilities", nn.BCELoss, "backward", " / np.maximum(p * (1 - p), LEAST_PRODUCT)", "")),
    (nn.BCELoss, Bug("binary cross-entropy's weight is lost on the way back", nn.BCELoss, "backward", "w * dp", "dp")),
    (nn.BCELoss, Bug("the logarithm of 0 is 0", nn.BCELoss, "_log", "np.where(p == 0, LEAST_LOG,", "np.where(p == 0, 0,")),
    (nn.BCELoss, Bug("targets of binary cross-entropy are not checked", nn.BCELoss, "forward", "(t < 0) | (t > 1)", "t != t")),
    (nn.SoftMarginLoss, Bug("soft margin of a sigmoid without its sign", nn.SoftMarginLoss, "backward", "kernels.sigmoid(-z)", "kernels.sigmoid(z)")),
    (nn.SoftMarginLoss, Bug("soft margin overflows", nn.SoftMarginLoss, "forward", "np.maximum(-z, 0) + np.log1p(np.exp(-np.abs(z)))", "np.log1p(np.exp(-z))")),
    (nn.HingeEmbeddingLoss, Bug("hinge embedding pushes what is beyond the margin", nn.HingeEmbeddingLoss, "backward", "np.where(counts, t, 0)", "t")),
    (nn.HingeEmbeddingLoss, Bug("hinge embedding's slope at its kink", nn.HingeEmbeddingLoss, "forward", "missing >= 0", "missing > 0")),
    (nn.HingeEmbeddingLoss, Bug("signs are not checked", loss.Loss, "check_signs", "(target != 1) & (target != -1)", "target != target")),
    (nn.NLLLoss, Bug("NLL's mean over positions, not weights", nn.NLLLoss, "forward", "divisor = q.sum()", "divisor = kept.sum().astype(x.dtype)")),
    (nn.NLLLoss, Bug("NLL counts what is ignored", nn.NLLLoss, "forward", "self._one_hot(x, t) & kept[:, None]", "self._one_hot(x, t)")),
    (nn.NLLLoss, Bug("NLL's labels are not checked", nn.NLLLoss, "forward", "(t < 0) | (t >= x.shape[1])", "t != t")),
    (nn.MultiMarginLoss, Bug("the right class is not pulled up", nn.MultiMarginLoss, "backward", " - wanted * dx.sum(axis=1, keepdims=True)", "")),
    (nn.MultiMarginLoss, Bug("a multi-margin's sum over the right class too", nn.MultiMarginLoss, "forward", "np.where(wanted, 0, np.maximum(self.margin - right + x, 0))", "np.maximum(self.margin - right + x, 0)")),
    (nn.MultiMarginLoss, Bug("squares without their 2", nn.MultiMarginLoss, "backward", "2 * z", "z")),
    (nn.KLDivLoss, Bug("a divergence without 0 log 0 = 0", nn.KLDivLoss, "forward", "np.where(t == 0, 1, t)", "t")),
    (nn.KLDivLoss, Bug("batchmean is the mean", nn.KLDivLoss, "forward", "t.shape[0] if", "t.size if")),
    (nn.KLDivLoss, Bug("a log target is not raised", nn.KLDivLoss, "forward", "q = np.exp(t)", "q = t.copy()")),
    (nn.PoissonNLLLoss, Bug("Poisson's slope without its count", nn.PoissonNLLLoss, "forward", "e - t * x, e - t", "e - t * x, e")),
    (nn.PoissonNLLLoss, Bug("Poisson without ε", nn.PoissonNLLLoss, "forward", "np.log(x + self.eps)", "np.log(x)")),
    (nn.PoissonNLLLoss, Bug("Stirling without its 2π", nn.PoissonNLLLoss, "forward", "2 * math.pi * n", "n")),
    (nn.CosineSimilarity, Bug("lengths taken as fixed", nn.CosineSimilarity, "backward", "unit_b - np.where(length_a > self.eps, y, 0) * unit_a", "unit_b")),
    (nn.CosineSimilarity, Bug("the slope of a length below ε", nn.CosineSimilarity, "backward", "np.where(length_a > self.eps, y, 0)", "y")),
    (nn.CosineSimilarity, Bug("the two gradients change places", nn.CosineSimilarity, "backward", "_sum_to(da, shapes[0]), _sum_to(db, shapes[1])", "_sum_to(db, shapes[0]), _sum_to(da, shapes[1])")),
    (nn.CosineEmbeddingLoss, Bug("unlike pairs are pulled together", nn.CosineEmbeddingLoss, "forward", "np.where(like, -1,", "np.where(like, 1,")),
    (nn.CosineEmbeddingLoss, Bug("the margin is lost", nn.CosineEmbeddingLoss, "forward", "np.maximum(cos - self.margin, 0)", "np.maximum(cos, 0)")),
    (nn.CosineEmbeddingLoss, Bug("the cosine's own term is lost", nn.CosineEmbeddingLoss, "backward", "mixed * b - own_a * a", "mixed * b")),
    (nn.Bilinear, Bug("the second input's gradient is the first's", nn.Bilinear, "backward", "(dy[:, :, None] * left).sum(axis=1)", "(dy[:, :, None] * b[:, None]).sum(axis=1)")),
    (nn.Bilinear, Bug("a bilinear weight turned round", nn.Bilinear, "_flat_weight", "transpose(1, 0, 2)", "transpose(1, 0, 2)[::-1]")),
    (nn.Bilinear, Bug("a bilinear weight's gradient with outputs in reverse", nn.Bilinear, "backward", "dweight.transpose(1, 0, 2)", "dweight.transpose(1, 0, 2)[::-1]")),
    (nn.Bilinear, Bug("bilinear inputs of two dtypes", nn.Bilinear, "forward", "x1.dtype != x2.dtype", "False")),
    (nn.Unflatten, Bug("unflatten returns a view", nn.Unflatten, "forward", "x.copy().reshape", "x.reshape")),
    (nn.Unflatten, Bug("unflatten at the front", nn.Unflatten, "forward", "(*x.shape[:dim], *sizes,", "(*sizes, *x.shape[:dim],")),
    (nn.Embedding, Bug("indices are not checked", Table, "check_indices", "anywhere(outside)", "False")),
    (nn.Embedding, Bug("padding learns", Table, "_collect", "np.where(indices == self.padding_idx, -1, indices)", "indices")),
    (nn.Embedding, Bug("padding starts as a word", Table, "_make_table", "self.weight.data[self.padding_idx] = 0", "pass")),
    (nn.Embedding, Bug("the frequency is not counted", Table, "_collect", "if self.scale_grad_by_freq:", "if False:")),
    (nn.Embedding, Bug("the last gradient of a word counts", embedding, "scatter_rows", "np.add.reduceat(x[order], first, axis=0)", "x[order[np.append(first[1:], len(order)) - 1]]")),
    (nn.Embedding, Bug("words are counted from the first row", embedding, "scatter_rows", "y[indices[order[first]]]", "y[: len(first)]")),
    (nn.Embedding, Bug("all rows are shortened", Table, "_look_up", "used & (norms > self.max_norm)", "norms > self.max_norm")),
    (nn.Embedding, Bug("the other norm", Table, "_look_up", "** (1 / p)", "")),
    (nn.Embedding, Bug("a row-sparse gradient is the upstream one itself", nn.RowSparse, "astype", "copy=copy", "copy=False")),
    (nn.Embedding, Bug("a row-sparse gradient shares the indices", nn.RowSparse, "astype", "self.indices.copy() if copy else self.indices", "self.indices")),
    (nn.Embedding, Bug("row-sparse gradients overwrite", nn.RowSparse, "__add__", "np.concatenate([self.indices, other.indices])", "np.concatenate([-1 - self.indices, other.indices])")),
    (nn.EmbeddingBag, Bug("a mean of all positions", nn.EmbeddingBag, "forward", "np.maximum(words, 1)", "max(1, x.size)")),
    (nn.EmbeddingBag, Bug("a mean that counts the padding", nn.EmbeddingBag, "forward", "bags = np.where(indices == self.padding_idx, -1, bags)", "pass")),
    (nn.EmbeddingBag, Bug("the mean is a sum on the way back", nn.EmbeddingBag, "backward", "if share is not None:", "if False:")),
    (nn.EmbeddingBag, Bug("the maximum's gradient goes to all", nn.EmbeddingBag, "backward", "if winners is not None and len(dy):", "if False:")),
    (nn.EmbeddingBag, Bug("the last of equal maxima", embedding, "scatter_max", "x[group].argmax(axis=0)", "len(group) - 1 - x[group][::-1].argmax(axis=0)")),
    (nn.EmbeddingBag, Bug("weights are lost on the way back", nn.EmbeddingBag, "backward", "dx = dx * s.reshape(-1, 1)", "pass")),
    (nn.EmbeddingBag, Bug("the weights' gradient of weighted rows", nn.EmbeddingBag, "backward", "(dx * rows).sum(axis=1)", "(dx * rows).sum(axis=1) * s.reshape(-1)")),
    (nn.EmbeddingBag, Bug("a word at an offset belongs to the bag before", embedding, "bags_of", '"right"', '"left"')),
    (nn.EmbeddingBag, Bug("offsets may fall", nn.EmbeddingBag, "_check_offsets", "offsets[1:] < offsets[:-1]", "offsets[1:] < -1")),
    (nn.Sequential, Bug("backward in forward's order", nn.Sequential, "backward", "reversed(layers)", "layers")),
    (nn.Residual, Bug("a shortcut without its gradient", nn.Residual, "backward", "dx += dy if self.shortcut is None else", "0 if self.shortcut is None else")),
    (nn.Residual, Bug("a residual that adds its input twice", nn.Residual, "forward", "short = x if", "short = 2 * x if")),
    (nn.Residual, Bug("a residual that writes into its input", nn.Residual, "forward", "y += short", "short += y; y = short.copy()")),
    (nn.Concat, Bug("branches in reverse on the way back", nn.Concat, "backward", "zip(self.children(), parts", "zip(self.children(), parts[::-1]")),
    (nn.Concat, Bug("the first branch's gradient alone", nn.Concat, "backward", "first += dx", "pass")),
    (BasicBlock, Bug("a basic block whose shortcut lets no gradient back", BasicBlock, "backward", "dx += d if self.downsample is None else", "0 if self.downsample is None else")),
    (BasicBlock, Bug("a shortcut that skips the last ReLU", BasicBlock, "backward", "dx += d if self.downsample is None else", "dx += dy if self.downsample is None else")),
    (BasicBlock, Bug("a projection whose gradient is lost", BasicBlock, "backward", "else self.downsample.backward(d)", "else 0 * self.downsample.backward(d)")),
    (Bottleneck, Bug("a bottleneck that forgets a ReLU on the way back", Bottleneck, "backward", "self.bn2.backward(self.relu2.backward(dx))", "self.bn2.backward(dx)")),
    (PaddedShortcut, Bug("a shortcut padded before, not after", PaddedShortcut, "backward", "dy[:, : self.inplanes]", "dy[:, -self.inplanes :]")),
    (PlainBlock, Bug("a plain block with a shortcut", PlainBlock, "backward", "return self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))", "return dy.mean() + self.conv1.backward(self.bn1.backward(self.relu1.backward(dx)))")),
    (models.ResNet, Bug("a residual network without its last layer's mean", models.ResNet, "backward", "self.avgpool.backward(self.flatten.backward(dy))", "2 * self.avgpool.backward(self.flatten.backward(dy))")),
    (models.CifarResNet, Bug("a small residual network that skips a ReLU", models.CifarResNet, "backward", "self.bn1.backward(self.relu.backward(dy))", "self.bn1.backward(dy)")),
    (InvertedResidual, Bug("an inverted residual whose shortcut lets no gradient back", InvertedResidual, "backward", "dx += dy", "pass")),
    (InvertedResidual, Bug("a shortcut that is not added", InvertedResidual, "forward", "y += x", "pass")),
    (Inception, Bug("an inception's branches in another order", Inception, "backward", "dy1, dy2, dy3, dy4 =", "dy1, dy3, dy2, dy4 =")),
    (Inception, Bug("an inception whose pooling branch lets no gradient back", Inception, "backward", "dx += self.branch4.backward(dy4)", "self.branch4.backward(dy4)")),
    (InceptionAux, Bug("an auxiliary head that skips its ReLU on the way back", InceptionAux, "backward", "self.relu.backward(self.drop.backward(dy))", "self.drop.backward(dy)")),
    (models.Perceptron, Bug("a perceptron that gives vectors back", models.Perceptron, "backward", "return self.flatten.backward(dy)", "return dy")),
    (models.AlexNet, Bug("AlexNet's grid of means shares nothing", models.AlexNet, "backward", "self.avgpool.backward(dy)", "2 * self.avgpool.backward(dy)")),
    (models.VGG, Bug("VGG's backward through its classifier twice", models.VGG, "backward", "self.classifier.backward(dy)", "2 * self.classifier.backward(dy)")),
    (models.GoogLeNet, Bug("GoogLeNet forgets the transform of its input on the way back", models.GoogLeNet, "backward", "dx * self._transform(dx)[0]", "dx")),
    (models.MobileNetV2, Bug("MobileNetV2 adds the gradient of its means", models.MobileNetV2, "backward", "self.avgpool.backward(dy)", "2 * self.avgpool.backward(dy)")),
    (models.LeNet5, Bug("LeNet-5 skips a ReLU on the way back", models.LeNet5, "backward", "self.relu1.backward(self.pool1.backward(dy))", "self.pool1.backward(dy)")),
]  # fmt: skip


def samples_of(component: type) -> list[Any]:
    return [sample for sample in SAMPLES if type(sample.make()) is component]


def caught_by(component: type) -> str:
    """The first check that fails, or nothing. PyTorch's is left out: the suite must do without it."""
    for sample in samples_of(component):
        for name, check in CHECKS.items():
            if name == "torch":
                continue
            try:
                check(sample)
            except Exception:
                return name
    for check in BY_HAND.get(component, []):
        try:
            check()
        except Exception:
            return check.__name__
    return ""


@pytest.mark.parametrize(("component", "bug"), LAYER_BUGS, ids=[bug.name for _, bug in LAYER_BUGS])
@pytest.mark.filterwarnings("ignore")
def test_the_checks_catch(component, bug):
    try:
        with planted(bug), use_backend("numpy"):
            assert caught_by(component), f"nothing catches: {bug.name}"
    finally:
        forget_plans()


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
    assert not caught_by(component)


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
    ("a compiled PReLU whose channels share a slope", "prelu", "_prelu_run", "weight[task % len(weight)]", "weight[0]"),
    ("a compiled PReLU's gradient that leaks everywhere", "prelu_input_grad", "_prelu_grad_run", "slope if positive else w * slope", "w * slope"),
    ("a compiled PReLU's terms of positive numbers", "prelu_input_grad", "_prelu_grad_run", "zero if positive else", ""),
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
    ("a compiled hardswish's slope of a hard sigmoid", "hardswish", "_hardswish_piece", "two * value + three", "value + three"),
    ("a compiled softmax that overflows", "softmax", "shift", "x[i] - largest", "x[i]"),
    ("a compiled softmax of long rows that overflows", "softmax", "shifted_exponentials", "x[i] - largest", "x[i]"),
    ("a compiled softmax without its quotient", "softmax", "_some_rows", "one / add_up(result)", "one"),
    ("a compiled softmax across rows that sums the last", "softmax", "_some_columns", "total[j] += result[j]", "total[j] = result[j]"),
    ("a compiled softmax across rows of the first block", "softmax", "_some_columns", "task % blocks * WIDTH", "task % 1 * WIDTH"),
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
    ("a compiled cross-entropy smooths without weights", "cross_entropy", "_smooth", "weight[c] if len(weight) else x.dtype.type(1)", "1"),
    ("a compiled cross-entropy that overflows", "cross_entropy", "shift", "x[i] - largest", "x[i] + largest"),
    ("a compiled maximum that leaves out the last", "cross_entropy", "largest_of", "range(len(x))", "range(len(x) - 1)"),
    ("a compiled binary cross-entropy of the wrong sign", "cross_entropy_with_logits", "_binary_piece", "max(-z, zero)", "max(z, zero)"),
    ("a compiled binary cross-entropy without its truth", "cross_entropy_with_logits", "_binary_piece", "(one + e) - t", "(one + e)"),
    ("a compiled squared error, not squared", "squared_error", "_squares_of_run", "total += error[i] * error[i]", "total += error[i]"),
    ("a compiled squared error of the last piece", "squared_error", "_squares", "total += partial[piece]", "total = partial[piece]"),
    ("a compiled descent that climbs", "sgd_step", "_plain_piece", "-= lr * d", "+= lr * d"),
    ("a compiled momentum that is not kept", "sgd_step", "_momentum_piece", "b[i] = speed", "pass"),
    ("a compiled momentum that is never Nesterov's", "sgd_step", "_momentum_piece", "if nesterov else speed", "if False else speed"),
    ("a compiled Adam without its root", "adam_step", "_adam_piece", "math.sqrt(square)", "square"),
    ("a compiled Adam that decays afterwards", "adam_step", "_adam_piece", "= before - size", "= theta[i] - size"),
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
    ("compiled sums for γ of the last images alone", "group_norm_input_grad", "_some_images_back", "image % FEW == FEW - 1 or", "image < 0 or"),
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
    ("compiled maxima of positive numbers", "scatter_max", "_scatter_max_piece", "place == begin[row] or larger", "larger"),
    ("compiled maxima that pass NaN by", "scatter_max", "_scatter_max_piece", "(source[d] != source[d] and target[d] == target[d])", "False"),
    ("compiled maxima of which the last of equals wins", "scatter_max", "_scatter_max_piece", "source[d] > target[d]", "source[d] >= target[d]"),
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
