"""Random arguments for every kernel, for the tests that compare a twin with its reference.

`ARGUMENTS[name](rng, dtype)` draws one call: shapes, strides and values.
"""

from __future__ import annotations

import copy

import numpy as np

from minidl import kernels
from minidl.kernels.geometry import output_size
from minidl.kernels.padding import MODES


def geometry(rng, *, pool: bool):
    """A random window that fits a random image; odd sizes, uneven strides."""
    while True:
        h, w = rng.integers(1, 12, 2)
        kh, kw = rng.integers(1, 5, 2)
        stride = tuple(int(s) for s in rng.integers(1, 4, 2))
        most = (kh // 2, kw // 2) if pool else (3, 3)
        padding = tuple(int(rng.integers(0, m + 1)) for m in most)
        dilation = tuple(int(d) for d in rng.integers(1, 4, 2))
        sizes = [
            output_size(s, k, st, p, d)
            for s, k, st, p, d in zip((h, w), (kh, kw), stride, padding, dilation, strict=True)
        ]
        if min(sizes) >= 1:
            return (int(h), int(w)), (int(kh), int(kw)), stride, padding, dilation, tuple(sizes)


def matmul(rng, dtype):
    m, k, n = (int(v) for v in rng.choice([0, 1, 2, 3, 7, 17, 33, 50, 70], 3))
    if rng.random() < 0.2:  # more than one block of each
        m, k, n = 70, 401, 550
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((n, k)).astype(dtype).T
    a = a if rng.random() < 0.5 else np.asfortranarray(a)
    return a, b if rng.random() < 0.5 else b.copy()


def linear(rng, dtype):
    x, turned = matmul(rng, dtype)
    kind = rng.random() if turned.shape == (401, 550) else 1
    if kind < 0.4:  # a large batch, for which the weights are packed
        x = np.concatenate([x, -x])
    elif kind < 0.6:  # too few columns to share out among threads
        turned = turned[:, :9]
    bias = rng.standard_normal(turned.shape[1]).astype(dtype) if rng.random() < 0.5 else None
    return x, turned.T.copy(), bias


def batch(rng):
    return int(rng.choice([0, 1, 2, 3]))


def conv_arguments(rng, dtype):
    (h, w), (kh, kw), stride, padding, dilation, (oh, ow) = geometry(rng, pool=False)
    n, groups = batch(rng), int(rng.integers(1, 4))
    cg, og = (int(v) for v in rng.integers(1, 4, 2))
    kind = rng.random()
    if kind < 0.2:  # the 3×3 convolution of many channels, which has an algorithm of its own
        (kh, kw), stride, dilation, groups = (3, 3), (1, 1), (1, 1), 1
        h, w, cg, og = (int(v) for v in (*rng.integers(4, 12, 2), *rng.integers(17, 40, 2)))
        padding = tuple(int(p) for p in rng.integers(0, 4, 2))
        n = int(rng.choice([0, 3, 20, 20]))
        oh, ow = h + 2 * padding[0] - 2, w + 2 * padding[1] - 2
    elif kind < 0.3:  # more filters than a vector register has numbers
        groups, cg, og = 1, int(rng.integers(33, 40)), int(rng.integers(16, 30))
    elif kind < 0.4:  # so many channels and filters that the windows of small images are laid side by side
        cg, og, groups = (*(int(v) for v in rng.integers(256, 300) // (kh * kw) + np.array([1, 40])), 1)
    elif kind < 0.5:  # the 1×1 convolution, whose windows are the image
        (kh, kw), stride, padding, dilation = (1, 1), (1, 1), (0, 0), (1, 1)
        groups, cg, og, h, w = 1, *(int(v) for v in rng.integers(12, 30, 4))
        if rng.random() < 0.5:  # a product in blocks
            n, cg, og, h, w = 1, 28, 67, 43, 41
        oh, ow = h, w
    elif kind < 0.65:  # depthwise: enough channels for the lanes of a vector, at times more than one
        groups, cg, og = int(rng.integers(4, 20)), 1, int(rng.integers(1, 4))
        if rng.random() < 0.25:  # laid out in more than one band, and more than one image in a task
            groups, n, h, w = 4, 9, h + 10, w + 440
            oh, ow = (
                output_size(s, k, st, p, d)
                for s, k, st, p, d in zip((h, w), (kh, kw), stride, padding, dilation, strict=True)
            )
    elif kind < 0.75:  # many small images abreast, some with pixels that no window sees
        stride, dilation, groups, (kh, kw) = (
            (1, 1),
            (1, 1),
            int(rng.integers(1, 3)),
            (3, int(rng.integers(3, 5))),
        )
        n, cg, og, h, w = (int(v) for v in (*rng.integers([9, 8, 8], [35, 14, 14]), *rng.integers(4, 8, 2)))
        padding = [(0, 0), (0, 2), (1, 0), (kh + 1, kw)][rng.integers(4)]
        oh, ow = h + 2 * padding[0] - kh + 1, w + 2 * padding[1] - kw + 1
    x = rng.standard_normal((n, groups * cg, h, w)).astype(dtype)
    weight = rng.standard_normal((groups * og, cg, kh, kw)).astype(dtype)
    bias = rng.standard_normal(groups * og).astype(dtype) if og == 67 or rng.random() < 0.5 else None
    dy = rng.standard_normal((n, groups * og, oh, ow)).astype(dtype)
    return x, weight, bias, dy, (stride, padding, dilation, groups)


def conv2d(rng, dtype):
    x, weight, bias, _, how = conv_arguments(rng, dtype)
    return (x, weight, bias, *how)


def conv2d_weight_grad(rng, dtype):
    x, weight, _, dy, how = conv_arguments(rng, dtype)
    return (dy, x, weight.shape, *how)


def conv2d_input_grad(rng, dtype):
    x, weight, _, dy, how = conv_arguments(rng, dtype)
    return (dy, weight, x.shape, *how)


def max_pool2d(rng, dtype):
    size, *how, _ = geometry(rng, pool=True)
    if rng.random() < 0.4:  # the commonest window, in images of every width up to some vectors'
        size, how = tuple(rng.integers(2, 45, 2)), [(2, 2), (2, 2), (0, 0), (1, 1)]
    elif rng.random() < 0.4:  # windows that overlap, in images as wide
        size, stride = tuple(rng.integers(2, 45, 2)), int(rng.integers(1, 4))
        how = [(3, 3), (stride, stride), (1, 1), (1, 1)]
    x = rng.integers(-4, 3, (batch(rng), 3, *size)).astype(dtype)  # integers: many ties
    x[rng.random(x.shape) < 0.05] = rng.choice([np.nan, -np.inf, np.inf])
    x[:, 2] = rng.choice([0, -np.inf])  # the first cell that is inside wins everywhere
    return x, *how, bool(rng.random() < 0.5)


def max_pool2d_input_grad(rng, dtype):
    x, *how = max_pool2d(rng, dtype)
    y, winners = kernels.max_pool2d.reference(x, *how)
    return rng.standard_normal(y.shape).astype(dtype), winners, x.shape, *how


def avg_pool_how(rng):
    size, kernel, stride, padding, _, _ = geometry(rng, pool=True)
    while any(s + 2 * p < k for s, k, p in zip(size, kernel, padding, strict=True)):
        size, kernel, stride, padding, _, _ = geometry(rng, pool=True)
    ceil, include = (bool(b) for b in rng.random(2) < 0.5)
    return size, (kernel, stride, padding, ceil, include, 3 if rng.random() < 0.2 else None)


def avg_pool2d(rng, dtype):
    size, how = avg_pool_how(rng)
    return (rng.standard_normal((batch(rng), 3, *size)).astype(dtype), *how)


def avg_pool2d_input_grad(rng, dtype):
    x, *how = avg_pool2d(rng, dtype)
    y = kernels.avg_pool2d.reference(x, *how)
    return (rng.standard_normal(y.shape).astype(dtype), x.shape, *how)


def adaptive_avg_pool2d(rng, dtype):
    h, w, oh, ow = (int(v) for v in rng.integers(1, 9, 4))
    ow = 1 if rng.random() < 0.3 else ow
    return rng.standard_normal((batch(rng), 3, h, w)).astype(dtype), (oh, ow)


def pad2d(rng, dtype):
    mode = str(rng.choice(MODES))
    if rng.random() < 0.2:  # more than one task
        shape = (2, 3, *(int(v) for v in rng.integers(90, 130, 2)))
    else:
        shape = (*(batch(rng) for _ in range(int(rng.integers(3)))), *(int(v) for v in rng.integers(1, 9, 2)))
    border = []
    for size in (shape[-1], shape[-2]):
        most = {"zeros": 4, "reflect": min(4, size - 1), "replicate": 4, "circular": min(4, size)}[mode]
        least = -(size // 2) if mode == "zeros" else 0
        border += [int(v) for v in rng.integers(least, most + 1, 2)]
    return rng.standard_normal(shape).astype(dtype), tuple(border), mode


def pad2d_input_grad(rng, dtype):
    x, border, mode = pad2d(rng, dtype)
    return like(rng, kernels.pad2d.reference(x, border, mode)), x.shape, border, mode


def resample(rng, dtype):
    if rng.random() < 0.2:  # more than one task
        shape, want = (2, 3, 40, 50), (60, 70)
    else:
        shape = (*(batch(rng) for _ in range(int(rng.integers(3)))), *(int(v) for v in rng.integers(1, 9, 2)))
        want = tuple(int(v) for v in rng.integers(1, 9, 2))
    tables = []
    for have, size, taps in zip(shape[-2:], want, rng.integers(1, 4, 2), strict=True):
        tables += [rng.integers(0, have, (taps, size)), rng.standard_normal((taps, size)).astype(dtype)]
    return rng.standard_normal(shape).astype(dtype), *tables


def adaptive_avg_pool2d_input_grad(rng, dtype):
    x, size = adaptive_avg_pool2d(rng, dtype)
    return rng.standard_normal((*x.shape[:2], *size)).astype(dtype), x.shape


def adaptive_max_pool2d(rng, dtype):
    h, w, oh, ow = (int(v) for v in rng.integers(1, 9, 4))
    if rng.random() < 0.3:
        oh = ow = 1
    x = rng.integers(-4, 3, (batch(rng), 3, h, w)).astype(dtype)  # integers: many ties
    x[rng.random(x.shape) < 0.05] = rng.choice([np.nan, -np.inf, np.inf])
    x[:, 2] = -np.inf  # the first cell wins everywhere
    return x, (oh, ow)


def adaptive_max_pool2d_input_grad(rng, dtype):
    x, size = adaptive_max_pool2d(rng, dtype)
    y, winners = kernels.adaptive_max_pool2d.reference(x, size)
    return rng.standard_normal(y.shape).astype(dtype), winners, x.shape


def sum_rows(rng, dtype):
    shape = (int(rng.choice([0, 1, 7, 50])), int(rng.choice([0, 1, 3, 20])))
    if rng.random() < 0.2:
        shape = (5000, 17)
    return (rng.standard_normal(shape).astype(dtype),)


def sum_channels(rng, dtype):
    pixels = [(), (3,), (2, 3), (5, 7), (40, 31), (0, 2)][rng.integers(6)]
    return (rng.standard_normal((batch(rng), int(rng.integers(0, 4)), *pixels)).astype(dtype),)


def cross_entropy(rng, dtype):
    rows, classes = int(rng.choice([0, 1, 5, 700])), int(rng.integers(1, 30))
    x = (3 * rng.standard_normal((rows, classes))).astype(dtype)
    x[rng.random(rows) < 0.1] += 300
    x[rng.random(x.shape) < 0.02] = rng.choice([np.nan, -np.inf, -1e4])
    weight = rng.choice([0, 0.5, 1, 3], classes).astype(dtype) if rng.random() < 0.5 else None
    smoothing = 0.2 if rng.random() < 0.5 and np.isfinite(x).all() else 0.0
    if rng.random() < 0.2:
        return x, rng.random(x.shape).astype(dtype), weight, -100, smoothing
    ignored = int(rng.choice([-100, 0]))
    labels = rng.integers(0, classes, rows).astype(rng.choice([np.int64, np.int32, np.uint8]))
    if labels.dtype == np.int64:
        labels[rng.random(rows) < 0.2] = ignored
    return x, labels, weight, ignored, smoothing


def cross_entropy_with_logits(rng, dtype):
    shape = [(0, 3), (), (5,), (50, 3, 70)][rng.integers(4)]
    x = np.asarray(5 * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.05] = rng.choice([np.nan, -1e4, 1e4])
    t = np.asarray(rng.random(shape)).astype(dtype)
    weights = [np.asarray(rng.random(shape[-1:])).astype(dtype) if rng.random() < 0.2 else None for _ in "wv"]
    return x, t, *weights


def squared_error(rng, dtype):
    shape = [(0, 3), (), (5,), (50, 3, 70)][rng.integers(4)]
    return tuple(np.asarray(rng.standard_normal(shape)).astype(dtype) for _ in range(2))


def pair(rng, dtype, target, wrong):
    """Predictions, some of them no numbers, and targets that `target(shape)` draws, at times one wrong."""
    shape = [(0, 3), (), (5,), (50, 3, 70)][rng.integers(4)]
    x = np.asarray(4 * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.03] = rng.choice([np.nan, -50, 50, 2])
    t = np.asarray(target(shape)).astype(dtype)
    if t.size and rng.random() < 0.3:
        t.reshape(-1)[rng.integers(t.size)] = wrong
    return x, t


def absolute_error(rng, dtype):
    return *pair(rng, dtype, lambda shape: rng.integers(-3, 3, shape), np.inf), bool(rng.random() < 0.5)


def clipped_error(rng, dtype):
    limit, unit = rng.choice([0.3, 1.0, 2.5], 2)
    return *pair(rng, dtype, rng.standard_normal, np.inf), float(limit), float(unit), bool(rng.random() < 0.5)


def soft_margin(rng, dtype):
    return *pair(rng, dtype, lambda shape: rng.choice([-1, 1], shape), 0.5), bool(rng.random() < 0.5)


def poisson_nll(rng, dtype):
    x, t = pair(rng, dtype, lambda shape: rng.poisson(2, shape), -1)
    log_input, full, summed = (bool(choice) for choice in rng.random(3) < 0.5)
    return np.minimum(x, 10) if log_input else np.abs(x), t, log_input, full, 1e-8, summed


def kl_divergence(rng, dtype):
    log_target, summed = (bool(choice) for choice in rng.random(2) < 0.5)
    draw = rng.standard_normal if log_target else lambda shape: np.maximum(rng.normal(0.5, 0.5, shape), 0)
    return *pair(rng, dtype, draw, -0.25), log_target, summed


def binary_cross_entropy(rng, dtype):
    x, t = pair(rng, dtype, rng.random, rng.choice([-0.25, 1.25]))
    p = np.clip(x + dtype(0.5), 0, 1)  # many of them 0 or 1
    weight = np.asarray(rng.random(p.shape[-1:])).astype(dtype) if rng.random() < 0.3 else None
    return p, t, weight, bool(rng.random() < 0.5)


def labelled(rng, dtype):
    """Rows, labels of which some are no classes, and how many classes there are."""
    rows, classes = int(rng.choice([0, 1, 5, 700])), int(rng.integers(1, 30))
    x = (2 * rng.standard_normal((rows, classes))).astype(dtype)
    x[rng.random(x.shape) < 0.02] = rng.choice([np.nan, -np.inf, 1e4])
    labels = rng.integers(0, classes, rows).astype(rng.choice([np.int64, np.int32, np.uint8]))
    labels[rng.random(rows) < 0.1] = rng.choice([100, 120])
    return x, labels, classes


def nll(rng, dtype):
    x, labels, classes = labelled(rng, dtype)
    weight = rng.choice([0, 0.5, 1, 3], classes).astype(dtype) if rng.random() < 0.5 else None
    return x, labels, weight, int(rng.choice([0, 100, 120]))


def nll_input_grad(rng, dtype):
    x, labels, classes = labelled(rng, dtype)
    return x[:, 0].copy(), labels, classes


def multi_margin(rng, dtype):
    x, labels, classes = labelled(rng, dtype)
    weight = rng.choice([0, 0.5, 1, 3], classes).astype(dtype) if rng.random() < 0.5 else None
    return x, labels, weight, int(rng.integers(1, 3)), float(rng.choice([0.5, 1.0]))


def pair_products(rng, dtype):
    shape = [(0, 3), (4, 0), (5,), (6, 70), (3, 5, 1500)][rng.integers(5)]
    return tuple(rng.standard_normal(shape).astype(dtype) for _ in "ab")


def pair_input_grads(rng, dtype):
    a, b = pair_products(rng, dtype)
    return a, b, *(np.asarray(rng.standard_normal(a.shape[:-1])).astype(dtype) for _ in "mab")


def numbers(rng, dtype):
    """Of any shape, at times of more than one task; tiny and huge ones, zeros and what is no number too."""
    shapes = [(), (0, 3), (7,), (2, 3, 4, 5), (3, 5, 1500), (40_000,)]
    x = np.asarray(rng.standard_normal(shapes[rng.integers(len(shapes))]))
    special = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e-5, -1e-3, 50.0, -1000.0], x.shape)
    return np.where(rng.random(x.shape) < 0.2, special, x * rng.choice([0.01, 1, 10])).astype(dtype)


def like(rng, x):
    return np.asarray(rng.standard_normal(x.shape)).astype(x.dtype)


def relu(rng, dtype):
    return (numbers(rng, dtype),)


def relu_input_grad(rng, dtype):
    dy = numbers(rng, dtype)
    return dy, np.asarray(rng.random(dy.shape) < 0.5)


def sigmoid_input_grad(rng, dtype):
    y = numbers(rng, dtype)
    return like(rng, y), y


def softmax(rng, dtype):
    shape = [(), (0, 3), (3, 0), (7,), (60, 10), (2, 3, 4, 5), (3, 5, 700), (30, 700)][rng.integers(8)]
    x = np.asarray(3 * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.02] = rng.choice([-np.inf, 1000, -1000])
    return x, int(rng.integers(-max(x.ndim, 1), max(x.ndim, 1)))


def curve(rng, dtype):
    x = numbers(rng, dtype)
    return (np.where(np.isinf(x), dtype(3), x),)  # 0 · ∞ would warn


def slope_input_grad(rng, dtype):
    (slope,) = curve(rng, dtype)
    return like(rng, slope), slope


def gelu(rng, dtype):
    return *curve(rng, dtype), bool(rng.random() < 0.5)


def elu(rng, dtype):
    return *curve(rng, dtype), 0.7, float(rng.choice([1, 1.3])), float(rng.choice([1, 0.4]))


def softplus(rng, dtype):
    return *curve(rng, dtype), float(rng.choice([1, -0.6, 2.5])), float(rng.choice([20, 1]))


def hardswish(rng, dtype):
    (x,) = curve(rng, dtype)
    return (np.where(rng.random(x.shape) < 0.1, dtype(rng.choice([-3, 3])), x),)


def hardswish_input_grad(rng, dtype):
    (x,) = hardswish(rng, dtype)
    return like(rng, x), x


def glu(rng, dtype):
    shape = [(8,), (0, 4), (4, 0), (2, 3, 4, 5), (6, 2), (2, 35_000), (2, 600, 30)][rng.integers(7)]
    x = (rng.choice([1, 10]) * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.02] = rng.choice([0, np.nan, 1000, -1000])
    dims = [i for i, size in enumerate(shape) if size % 2 == 0]
    return x, int(rng.choice(dims)) - len(shape) * int(rng.integers(2))


def glu_input_grad(rng, dtype):
    x, dim = glu(rng, dtype)
    return like(rng, np.split(x, 2, axis=dim)[0]), x, dim


def three_lines(rng, dtype):
    low, high = (float(v) for v in np.sort(rng.standard_normal(2)))
    slopes = tuple(float(v) for v in rng.permutation([0, 1, -0.3]))
    return numbers(rng, dtype), low, high, slopes, (0.1, -0.2, 0.3)


def three_lines_input_grad(rng, dtype):
    x, low, high, slopes, _ = three_lines(rng, dtype)
    return like(rng, x), x, low, high, slopes


def prelu(rng, dtype):
    (x,), (weight, *_) = channels(rng, dtype, 1)
    weight = like(rng, x[0].reshape(x.shape[1], -1)[:, 0]) if weight is None else weight
    return (x, weight) if rng.random() < 0.7 else (numbers(rng, dtype), weight[:1])


def prelu_input_grad(rng, dtype):
    x, weight = prelu(rng, dtype)
    x = np.where(np.isinf(x), dtype(3), x)
    return like(rng, x), x, weight


def scale_channels(rng, dtype):
    (x,), _ = channels(rng, dtype, 1)
    if rng.random() < 0.2:  # a channel of more than one task
        x = rng.standard_normal((1, 2, 20_001)).astype(dtype)
    return x, (rng.random(x.shape[:2]) < 0.5).astype(dtype) * dtype(1.5)


def softmax_input_grad(rng, dtype):
    y, dim = softmax(rng, dtype)
    return like(rng, y), like(rng, y), dim


def dropout(rng, dtype):
    x = numbers(rng, dtype)
    x = np.where(np.isinf(x), dtype(3), x)  # ∞ · 0 would warn
    return x, np.asarray(rng.random(x.shape, dtype=np.float32)), float(rng.choice([0.1, 0.5, 1]))


def dropout_input_grad(rng, dtype):
    dy, draws, p = dropout(rng, dtype)
    return dy, draws >= p, p


def channels(rng, dtype, arrays):
    """Arrays (N, C, …) and as many for each channel, with a scale and a shift that differ."""
    pixels = [(), (1,), (3,), (2, 3), (40, 31)][rng.integers(5)]
    n, c = int(rng.choice([1, 2, 5])), int(rng.choice([1, 3, 70]))
    if pixels == () and rng.random() < 0.5:  # vectors of more than one task
        n, c = 481, 140
    images = [(2 * rng.standard_normal((n, c, *pixels)) + 1).astype(dtype) for _ in range(arrays)]
    of_channels = [rng.standard_normal(c).astype(dtype) for _ in range(4)]
    return images, [None if i < 2 and rng.random() < 0.3 else a for i, a in enumerate(of_channels)]


def batch_norm(rng, dtype):
    (x,), (gamma, beta, *_) = channels(rng, dtype, 1)
    return x, gamma, beta, 0.1


def batch_norm_fixed(rng, dtype):
    (x,), (gamma, beta, mean, var) = channels(rng, dtype, 1)
    return x[: int(rng.integers(0, 3))], mean, abs(var), gamma, beta, 0.1


def move_statistics(rng, dtype):
    c = int(rng.choice([0, 1, 3, 300]))
    return (*(rng.random(c).astype(dtype) for _ in range(4)), float(rng.choice([0.0, 0.1, 1.0])))


def batch_norm_input_grad(rng, dtype):
    (dy, x), (gamma, _, mean, var) = channels(rng, dtype, 2)
    n = int(rng.integers(0, 6))
    return dy[:n], x[:n], mean, abs(var), gamma, 0.1, bool(rng.random() < 0.5)


def groups(rng, dtype, arrays):
    """Arrays (N, C, P), γ and β or not, and G."""
    g, per_group = (int(v) for v in rng.integers(1, 5, 2))
    n, pixels = int(rng.choice([0, 1, 2, 5])), int(rng.choice([1, 3, 35]))
    kind = rng.random()
    if kind < 0.3:  # features of one position, in a row or two that is longer than a run
        g, per_group, pixels = 1, int(rng.choice([37, 600])), 1
        n = 90 if rng.random() < 0.7 else n  # at times sums for γ of more than one task
    elif kind < 0.5:  # more than one task, and more than a few images in one
        n, pixels = 90, int(rng.choice([20, 40]))
    elif kind < 0.6 and per_group > 1:  # instance norm
        g, per_group = g * per_group, 1
    per_group += pixels * per_group == 1  # one number has no variance
    c = g * per_group
    images = [(2 * rng.standard_normal((n, c, pixels)) + 1).astype(dtype) for _ in range(arrays)]
    of_channels = [rng.standard_normal(c).astype(dtype) if rng.random() < 0.7 else None for _ in range(2)]
    return images, of_channels, g


def group_norm(rng, dtype):
    (x,), (gamma, beta), g = groups(rng, dtype, 1)
    return x, gamma, beta, g, 0.1, bool(rng.random() < 0.7)


def group_norm_input_grad(rng, dtype):
    (dy, x), (gamma, _), g = groups(rng, dtype, 2)
    mean, var = (rng.standard_normal((len(x), g)).astype(dtype) for _ in range(2))
    return dy, x, mean, abs(var), gamma, 0.1, bool(rng.random() < 0.7)


def parameter_and_state(rng, dtype, arrays):
    shape = [(), (0,), (7,), (5, 3), (60, 70), (3, 2, 4, 5)][rng.integers(6)]
    return [np.asarray(rng.standard_normal(shape)).astype(dtype) for _ in range(arrays)]


def sgd_step(rng, dtype):
    theta, g, b = parameter_and_state(rng, dtype, 3)
    lam = float(rng.choice([0, 0.1]))
    if rng.random() < 0.3:
        return theta, g, None, 0.3, 0.0, 0.0, lam, False
    nesterov = bool(rng.random() < 0.5)
    return theta, g, b, 0.3, 0.7, 0.0 if nesterov else float(rng.choice([0, 0.2])), lam, nesterov


def adam_step(rng, dtype):
    theta, g, m, v, largest = parameter_and_state(rng, dtype, 5)
    given = np.asarray(abs(largest)) if rng.random() < 0.3 else None
    lam, decoupled = float(rng.choice([0, 0.1])), bool(rng.random() < 0.5)
    t = int(rng.integers(1, 20))
    return theta, g, m, np.asarray(abs(v)), given, t, 0.1, 0.7, 0.9, 1e-3, lam, decoupled


def table_and_indices(rng, dtype, least):
    """Rows and which of them, at times the same one often, or enough of them for more than one task."""
    rows, columns, n = (int(rng.choice(sizes)) for sizes in ([1, 5, 40], [1, 3, 8, 50], [0, 1, 7, 60]))
    if rng.random() < 0.2:
        rows, columns, n = 300, 40, 900
    indices = (
        rng.integers(least, rows, n) if rng.random() < 0.7 else np.minimum(rng.geometric(0.5, n), rows) - 1
    )
    return rows, columns, indices.astype(rng.choice([np.int64, np.int32]))


def gather_rows(rng, dtype):
    rows, columns, indices = table_and_indices(rng, dtype, 0)
    if rng.random() < 0.3:
        return rng.integers(0, 100, (rows, columns)), indices
    return rng.standard_normal((rows, columns)).astype(dtype), indices


def scatter_rows(rng, dtype):
    rows, columns, indices = table_and_indices(rng, dtype, -1)
    return rng.standard_normal((len(indices), columns)).astype(dtype), indices, rows


def move_rows(rng, dtype):
    x, indices, rows = scatter_rows(rng, dtype)
    given = int(rng.choice([1, 5, 60]))
    sources = rng.integers(-1, given, len(indices)).astype(indices.dtype)
    return rng.standard_normal((given, x.shape[1])).astype(dtype), sources, indices, rows


def scatter_max(rng, dtype):
    x, indices, rows = scatter_rows(rng, dtype)
    x = np.round(x * 2)  # integers: many ties
    x[rng.random(x.shape) < 0.05] = rng.choice([np.nan, -np.inf, np.inf])
    return x, indices, rows


def scatter_winners(rng, dtype):
    x, groups, bags = scatter_max(rng, dtype)
    y, winners = kernels.scatter_max.reference(x, groups, bags)
    rows = int(rng.choice([3, 50]))
    return like(rng, y), winners, rng.integers(-1, rows, len(x)).astype(groups.dtype), rows


def sparse_adam_step(rng, dtype):
    rows, columns = (int(rng.choice(sizes)) for sizes in ([1, 5, 40, 700], [1, 8, 50]))
    chosen = rng.permutation(rows)[: int(rng.integers(0, rows + 1))].astype(rng.choice([np.int64, np.int32]))
    theta, g, m, v = (rng.standard_normal((rows, columns)).astype(dtype) for _ in range(4))
    return theta, chosen, g[: len(chosen)], m, abs(v), int(rng.integers(1, 20)), 0.1, 0.7, 0.9, 1e-3


def bags_of(rng, dtype):
    n = int(rng.choice([0, 1, 7, 60]))
    offsets = np.sort(rng.integers(0, n + 1, int(rng.integers(0, 9))))
    if rng.random() < 0.7 and len(offsets):
        offsets[0] = 0
    return offsets.astype(rng.choice([np.int64, np.int32])), n


CHANGES = {
    "sgd_step": (0, 2), "adam_step": (0, 2, 3, 4), "sparse_adam_step": (0, 3, 4), "move_statistics": (0, 1)
}  # fmt: skip
"""The kernels that write to arguments, and to which; of all others the results are compared."""


def call(kernel, name, arguments, own=False):
    """What a call gives: its results, or the arrays that it changes, of which it gets copies unless `own`."""
    if name not in CHANGES:
        result = kernel(*arguments)
        return result if isinstance(result, tuple) else (result,)
    given = list(arguments) if own else [copy.deepcopy(a) for a in arguments]
    assert kernel(*given) is None
    return tuple(given[i] for i in CHANGES[name] if given[i] is not None)


ARGUMENTS = {
    function.__name__: function
    for function in (
        matmul,
        linear,
        conv2d,
        conv2d_weight_grad,
        conv2d_input_grad,
        max_pool2d,
        max_pool2d_input_grad,
        avg_pool2d,
        avg_pool2d_input_grad,
        adaptive_avg_pool2d,
        adaptive_avg_pool2d_input_grad,
        pad2d,
        pad2d_input_grad,
        resample,
        adaptive_max_pool2d,
        adaptive_max_pool2d_input_grad,
        relu,
        relu_input_grad,
        slope_input_grad,
        gelu,
        elu,
        softplus,
        hardswish,
        hardswish_input_grad,
        glu,
        glu_input_grad,
        three_lines,
        three_lines_input_grad,
        prelu,
        prelu_input_grad,
        scale_channels,
        softmax,
        softmax_input_grad,
        dropout,
        dropout_input_grad,
        sigmoid_input_grad,
        sum_rows,
        sum_channels,
        cross_entropy,
        cross_entropy_with_logits,
        squared_error,
        absolute_error,
        clipped_error,
        soft_margin,
        poisson_nll,
        kl_divergence,
        binary_cross_entropy,
        nll,
        nll_input_grad,
        multi_margin,
        pair_products,
        pair_input_grads,
        batch_norm,
        batch_norm_fixed,
        move_statistics,
        batch_norm_input_grad,
        group_norm,
        group_norm_input_grad,
        sgd_step,
        adam_step,
        sparse_adam_step,
        gather_rows,
        scatter_rows,
        move_rows,
        scatter_max,
        scatter_winners,
        bags_of,
    )
}
ARGUMENTS |= {"erf": relu, "sigmoid": relu, "tanh": relu, "tanh_input_grad": sigmoid_input_grad}
ARGUMENTS |= {"log_softmax": softmax, "log_softmax_input_grad": softmax_input_grad}
ARGUMENTS |= dict.fromkeys(("silu", "mish", "log_sigmoid", "softsign", "tanhshrink"), curve)
