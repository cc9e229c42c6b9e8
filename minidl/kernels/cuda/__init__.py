"""Twins of hot kernels for a GPU, under the same file names. Importing this registers them; it compiles nothing."""

import minidl.kernels.cuda.activation
import minidl.kernels.cuda.averages
import minidl.kernels.cuda.conv
import minidl.kernels.cuda.loss
import minidl.kernels.cuda.normalization
import minidl.kernels.cuda.optim
import minidl.kernels.cuda.pooling
import minidl.kernels.cuda.probabilities
import minidl.kernels.cuda.products
import minidl.kernels.cuda.sums

__all__: list[str] = []
