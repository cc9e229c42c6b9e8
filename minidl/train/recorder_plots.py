"""The pictures of a recorder: gradients that vanish or explode, layers that saturate, units that died."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minidl.train.plots import TRAIN, VAL, WRONG, new_figure

if TYPE_CHECKING:
    from minidl.train.recording import Recording

__all__ = ["PICTURES", "plot_dead", "plot_flow", "plot_histograms", "plot_norms"]

WORDS = {
    "activation": "activations",
    "gradient": "gradients of activations",
    "parameter": "parameters",
    "parameter_gradient": "gradients of parameters",
}


def plot_flow(
    recording: Recording,
    kind: str,
    axes: Any = None,
    *,
    step: int = -1,
    figure: str = "rms",
    names: Any = None,
) -> Any:
    """A bar for each layer, from the first to the last, at one step, on a logarithmic scale.

    What vanishes on the way back falls off to the left; what is not finite has a bar of its own colour.
    """
    names, columns = _columns(recording, kind, names)
    values = recording.series(figure, kind)[step, columns]
    broken = recording.series("nonfinite", kind)[step, columns] > 0
    axes = _axes(axes, 1.5 + 0.28 * min(len(names), 30), 3.2)
    places = np.arange(len(names))
    shown = np.where(values > 0, values, np.nan)
    # A bar has no natural foot on this scale: it stands far below everything, wherever the axis is cut.
    axes.bar(places, np.nan_to_num(shown), bottom=np.full(len(names), 1e-300), width=0.8, color=TRAIN)
    if broken.any():
        top = np.full(broken.sum(), np.nanmax(shown, initial=1.0))
        axes.bar(places[broken], top, bottom=1e-300, width=0.8, color=WRONG, label="not finite")
        axes.legend(frameon=False)
    axes.set_yscale("log")
    low, high = np.nanmin(shown, initial=math.inf), np.nanmax(shown, initial=0.0)
    axes.set_ylim((low / 3, high * 3) if 0 < low <= high else (0.1, 10))
    _label_layers(axes.set_xticks, names, rotation=90)
    axes.set(ylabel=figure, title=f"{WORDS[kind]}, step {recording.steps[step]}")
    _tidy(axes)
    return axes.figure


def plot_norms(
    recording: Recording, kind: str, axes: Any = None, *, figure: str = "rms", names: Any = None
) -> Any:
    """A line for each layer over the steps, on a logarithmic scale; the first is blue, the last orange."""
    axes = _lines(recording, kind, axes, figure, names)
    axes.set_yscale("log")
    axes.set(ylabel=figure, title=WORDS[kind])
    return axes.figure


def plot_dead(
    recording: Recording, kind: str, axes: Any = None, *, figure: str = "dead", names: Any = None
) -> Any:
    """The share of dead units of each layer over the steps."""
    axes = _lines(recording, kind, axes, figure, names)
    axes.set(ylabel="share of dead units", title="dead units", ylim=(-0.02, 1.02))
    return axes.figure


def plot_histograms(
    recording: Recording,
    kind: str,
    axes: Any = None,
    *,
    step: int = -1,
    figure: str = "share",
    names: Any = None,
) -> Any:
    """How each layer's numbers are spread at one step: a row for each layer, darker where more are."""
    names, columns = _columns(recording, kind, names)
    counts = recording.histograms(kind)[step, columns].astype(np.float64)  # (names, bins)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    used = np.flatnonzero(share.any(axis=0))
    first, last = (used[0], used[-1]) if used.size else (0, share.shape[1] - 1)
    axes = _axes(axes, 6.0, 1.4 + 0.2 * min(len(names), 30))
    axes.imshow(
        np.ma.masked_equal(share[:, first : last + 1], 0) ** 0.5,  # small shares are seen too
        aspect="auto", cmap="Blues", interpolation="nearest",
        extent=(first - 0.5, last + 0.5, len(names) - 0.5, -0.5),
    )  # fmt: skip
    _label_layers(axes.set_yticks, names)
    ticks = _ticks(recording.edges, first, last)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.set(title=f"{WORDS[kind]}, step {recording.steps[step]}", xlabel="value")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes.figure


PICTURES: dict[str, Callable[..., Any]] = {
    "flow": plot_flow,
    "norms": plot_norms,
    "histograms": plot_histograms,
    "dead": plot_dead,
}


def _columns(recording: Recording, kind: str, wanted: Sequence[str] | None) -> tuple[list[str], list[int]]:
    """The names to draw, and where they stand; without a wish, those that were ever seen."""
    names = recording.names(kind)
    if wanted is None:
        seen = ~np.isnan(recording.series("nonfinite", kind))  # (steps, names)
        wanted = [name for place, name in enumerate(names) if seen[:, place].any()]
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(f"Recorder: expected names among {', '.join(names)}, got {missing[0]!r}")
    if not wanted:
        raise ValueError(f"Recorder: expected {WORDS[kind]} to draw, got none")
    return list(wanted), [names.index(name) for name in wanted]


def _axes(axes: Any, width: float, height: float) -> Any:
    return new_figure(width, height).subplots() if axes is None else axes


def _lines(recording: Recording, kind: str, axes: Any, figure: str, names: Any) -> Any:
    names, columns = _columns(recording, kind, names)
    axes = _axes(axes, 5.6, 3.2)
    values = recording.series(figure, kind)[:, columns]
    for place, name in enumerate(names):
        ends = place in (0, len(names) - 1)
        axes.plot(
            recording.steps, values[:, place], ".-" if len(recording.steps) < 2 else "-",
            color=_between(place / max(1, len(names) - 1)), lw=1.5, label=name if ends else f"_{name}",
        )  # fmt: skip
    axes.set(xlabel="step")
    axes.legend(frameon=False, title="first and last layer" if len(names) > 1 else None, fontsize="small")
    _tidy(axes)
    return axes


def _between(part: float) -> tuple[float, ...]:
    """A colour on the way from blue to orange."""
    one, other = ([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in (TRAIN, VAL))
    return tuple((1 - part) * a + part * b for a, b in zip(one, other, strict=True))


def _label_layers(set_ticks: Any, names: Sequence[str], **how: Any) -> None:
    """Names beside the axis, as many as there is room for."""
    apart = -(-len(names) // 30)
    set_ticks(range(0, len(names), apart), names[::apart], fontsize=8, **how)


def _ticks(edges: NDArray[np.float64], first: int, last: int) -> list[tuple[float, str]]:
    """Some edges in bins' numbers, with their values: bin b lies between edges b − 1 and b.

    Of powers of ten on both sides of 0, every so-many-th, and 0 itself in the middle of its bin.
    """
    inside = range(max(first - 1, 0), min(last + 1, len(edges)))
    powers = {i: round(math.log10(abs(edges[i]))) for i in inside if edges[i] and _is_whole(edges[i])}
    if len(powers) < 3:
        return [(i + 0.5, f"{edges[i]:.3g}") for i in inside[:: max(1, -(-len(inside) // 9))]]
    middle = int(np.searchsorted(edges, 0.0))
    apart = max(1, -(-len(powers) // 9))
    shown = [i for i, power in powers.items() if power % apart == 0 and abs(i + 0.5 - middle) > 2]
    ticks = [(i + 0.5, f"{edges[i]:.0e}".replace("e-0", "e-").replace("e+0", "e")) for i in shown]
    return sorted([*ticks, (float(middle), "0")]) if first <= middle <= last else ticks


def _is_whole(edge: float) -> bool:
    """Whether an edge is a power of ten, or minus one."""
    power = math.log10(abs(edge))
    return abs(power - round(power)) < 1e-9


def _tidy(axes: Any) -> None:
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
