"""How plots look: transparent, in the page's own ink, the same bytes from build to build."""

from __future__ import annotations

import html
import io
import re
from typing import Any

__all__ = ["plot_style", "svg_of"]

INK = "#010203"  # a colour that nothing else uses: it becomes `currentColor`, so dark mode follows


def plot_style() -> dict[str, Any]:
    """Matplotlib's settings for every plot on the site."""
    from matplotlib import cycler

    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    return {
        **dict.fromkeys(inked, INK),
        # readable on white and on the dark theme's slate, and apart for colour-blind eyes
        "axes.prop_cycle": cycler(color=["#3f7fd9", "#d9730d", "#2a9d74", "#b05fc7"]),
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "figure.figsize": (5.8, 3.0),
        "font.family": "sans-serif",
        "font.size": 11,  # still readable on a phone
        "font.sans-serif": ["DejaVu Sans"],  # it ships with matplotlib: the same widths everywhere
        "grid.alpha": 0.15,
        "image.cmap": "gray",
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "minidl",  # else ids are random
    }


def svg_of(figure: Any, alt: str, number: int = 0) -> str:
    """A figure as an `<svg>` for the page; `number` keeps ids apart when a page has several."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({**plot_style(), "svg.hashsalt": f"minidl{number}"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style .*?</style>", "", svg, flags=re.DOTALL)  # inline, it would style the whole page
    svg = re.sub(r"font: [^;\"]*?([\d.]+)px[^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    # ids count up within each figure; a page holds several figures
    for name in re.findall(r'\bid="([^"]+)"', svg):
        svg = re.sub(rf'(id="|url\(#|href="#){re.escape(name)}(?=["\)])', rf"\g<1>fig{number}-{name}", svg)
    label = html.escape(alt, quote=True)
    svg = re.sub(r"\s*\n\s*", " ", svg)  # one line: a blank line would end an HTML block in Markdown
    return svg.replace(
        "<svg ", f'<svg class="plot" role="img" aria-label="{label}" style="stroke-linejoin: round" ', 1
    )
