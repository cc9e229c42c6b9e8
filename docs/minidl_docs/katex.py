"""KaTeX, run inside Python: the formulas of the site are typeset when it is built.

KaTeX itself (its script, style sheet and fonts) comes from the PyPI package `jupyterlab-katex`, because
there it is without dependencies; QuickJS (`quickjs-ng`) runs it. So a learner needs pip and nothing else,
and no third-party file is kept in this repository. The package holds KaTeX as webpack chunks: lists of
numbered modules, which a small `require` below loads.
"""

from __future__ import annotations

import json
import re
import threading
from functools import lru_cache
from importlib.metadata import files
from pathlib import Path

import quickjs

__all__ = ["FormulaError", "install_assets", "render"]

# A minimal webpack: collect the chunks' modules, run each once, and let a URL be its own text.
WEBPACK = """
var self = globalThis, modules = {}, cache = {};
self.webpackChunk_jupyterlab_katex_extension = { push(chunk) { Object.assign(modules, chunk[1]); } };
function URL(path) { this.toString = () => path; }
function load(id) {
  if (!cache[id]) {
    cache[id] = { id, exports: {} };
    modules[id].call(cache[id].exports, cache[id], cache[id].exports, load);
  }
  return cache[id].exports;
}
load.p = "";
load.n = (exported) => () => exported;
load.d = (target, getters) => {
  for (const key in getters) Object.defineProperty(target, key, { enumerable: true, get: getters[key] });
};
function find(text) { return load(Object.keys(modules).find((id) => String(modules[id]).includes(text))); }
"""

_local = threading.local()  # a QuickJS context belongs to one thread; `mkdocs serve` builds in several


class FormulaError(ValueError):
    """A formula that KaTeX cannot typeset; it fails the build."""


def _static(pattern: str) -> dict[str, Path]:
    found = [f for f in files("jupyterlab-katex") or [] if re.search(r"/static/" + pattern, str(f))]
    return {f.name: Path(str(f.locate())).resolve() for f in found}


def _context() -> quickjs.Context:
    if not hasattr(_local, "context"):
        context = quickjs.Context()
        context.eval(WEBPACK)
        for path in _static(r"\d+\.\w+\.js$").values():
            context.eval(path.read_text(encoding="utf-8"))
        context.eval("var katex = find('renderToString');")
        _local.context = context
    return _local.context


def _text(expression: str) -> str:
    # by way of JSON: QuickJS glues long strings from pieces, and its Python side knows whole ones only
    return str(json.loads(_context().eval(f"JSON.stringify({expression})")))


@lru_cache(maxsize=4096)
def render(tex: str, display: bool) -> str:
    """A formula as HTML for the eye and MathML for a screen reader.

    Raises:
        FormulaError: it does not parse.
    """
    options = f"{{displayMode: {json.dumps(display)}, throwOnError: true, strict: 'error', trust: true}}"
    try:
        return _text(f"katex.renderToString({json.dumps(tex)}, {options})")
    except quickjs.JSException as error:
        raise FormulaError(f"{str(error).splitlines()[0]}\n  in the formula: {tex}") from None


def install_assets(target: Path) -> None:
    """Put KaTeX's style sheet and fonts into `target`; files that are there already stay untouched."""
    style = _text("String(find('KaTeX_AMS').Z)")
    style = re.sub(r",\s*url\([^)]*\.(?:woff|ttf)\)\s*format\('[^']*'\)", "", style)  # woff2 is enough
    wanted = {"katex.css": style.encode()}
    wanted |= {name: path.read_bytes() for name, path in _static(r"\w+\.woff2$").items()}
    target.mkdir(parents=True, exist_ok=True)
    for name, content in wanted.items():
        path = target / name
        if not path.exists() or path.read_bytes() != content:  # `mkdocs serve` watches this folder
            path.write_bytes(content)
