"""Gates: activations that multiply a number by how much of it may pass, which lies between 0 and 1."""

from __future__ import annotations

from minidl import kernels
from minidl.array import Array
from minidl.errors import ShapeError
from minidl.nn.module import Module

__all__ = ["GELU", "GLU", "Hardswish", "Mish", "SiLU"]


class GELU(Module):
    """The Gaussian error linear unit: `y = x Φ(x)`, where Φ(x) = ½ (1 + erf(x/√2)) (Hendrycks & Gimpel 2016).

    Φ(x) is the share of a normal distribution that lies below x. `approximate="tanh"` takes
    `Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))` instead, as GPT-2 does.

    Shape:
        - input: any; output: the same

    Args:
        approximate: `"none"` or `"tanh"`.

    Raises:
        ValueError: another approximation.
    """

    approximate: str

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: expected approximate 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.gelu(x, self.approximate == "tanh")
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy (Φ + x Φ'), where Φ' = e^(−x²/2) / √(2π), or the slope of the approximation
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """The sigmoid linear unit, or swish: `y = x σ(x)` (Elfwing et al. 2018; Ramachandran et al. 2017).

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.silu(x)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy σ (1 + x (1 − σ))
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class Mish(Module):
    """A gate of a softplus: `y = x tanh(log(1 + eˣ))` (Misra 2020).

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y, slope = kernels.mish(x)
        self.remember(slope, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy (t + x (1 − t²) σ(x)) with t = tanh(log(1 + eˣ)), for the softplus has the slope σ
        dy, slope = self.recall(dy)
        return kernels.slope_input_grad(dy, slope)

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class Hardswish(Module):
    """Swish made of straight lines: `y = x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019, MobileNetV3).

    At the kinks −3 and 3 the slope is that of the line beyond, 0 and 1, as in PyTorch.

    Shape:
        - input: any; output: the same

    Args:
        inplace: taken for PyTorch's signature; minidl never changes its input, so it has no effect.
    """

    inplace: bool

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        y = kernels.hardswish(x)
        self.remember(x, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # dx = dy (2x + 3) / 6 where −3 < x < 3, 0 to the left, dy to the right
        dy, x = self.recall(dy)
        return kernels.hardswish_input_grad(dy, x)

    def extra_repr(self) -> str:
        return f"inplace={self.inplace}"


class GLU(Module):
    """The gated linear unit: `y = a σ(b)`, where a and b are the two halves of x (Dauphin et al. 2017).

    Shape:
        - input: any, of even size 2S along `dim`; output: the same, of size S there

    Args:
        dim: the dimension that is halved.

    Raises:
        ShapeError: the input has no dimension `dim`, or an odd size there.
    """

    dim: int

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Array) -> Array:
        self.check_array(x)
        self.check_dim(x, self.dim)
        if x.ndim == 0 or x.shape[self.dim] % 2:
            raise ShapeError(f"{self.label()}: expected an even size in dimension {self.dim}, got {x.shape}")
        y = kernels.glu(x, self.dim)
        self.remember(x, self.dim, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        # da = dy σ(b)    db = dy a σ(b) (1 − σ(b))
        dy, x, dim = self.recall(dy)
        return kernels.glu_input_grad(dy, x, dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
