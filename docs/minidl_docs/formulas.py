r"""Formulas in Markdown: `$…$` in a line, `$$…$$` on its own, typeset by KaTeX when the site is built.

A formula with `\tag{12.3}` gets the anchor `eq-12.3`, and `eq. 12.3` in a listing's comment on the same
page becomes a link to it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.postprocessors import Postprocessor
from markdown.util import AtomicString
from pymdownx.arithmatex import ArithmatexExtension, BlockArithmatexProcessor, InlineArithmatexPattern

from minidl_docs.equations import CITED, TAG
from minidl_docs.katex import install_assets, render

PUNCTUATION = re.compile(r"[.,;:?!)]*")


class InlineFormula(InlineArithmatexPattern):
    """`$…$`."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Any, int, int]:  # noqa: N802
        found, start, end = super().handleMatch(m, data)
        if isinstance(found, Element):
            tex = m.group(3) or m.group(6)
            html = render(tex.strip(), False)
            found = Element("span", {"class": "formula", "data-search-exclude": ""})
            found.text = AtomicString(self.md.htmlStash.store(html))
            if html.count('class="base"') <= 2:  # a short one keeps the comma that follows on its line
                found.set("class", "formula nowrap")
                after = PUNCTUATION.match(data, end)
                found.text = AtomicString(found.text + after[0])
                end = after.end()
        return found, start, end


class BlockFormula(BlockArithmatexProcessor):
    """`$$…$$`."""

    def __init__(self, pattern: str, config: dict[str, Any], md: Markdown) -> None:
        super().__init__(pattern, config, md)
        self.md = md

    def generic_output(self, parent: Element, math: str) -> None:
        # tabindex: a formula that is wider than a phone scrolls, and a keyboard must reach it
        div = SubElement(
            parent, "div", {"class": "formula formula-block", "data-search-exclude": "", "tabindex": "0"}
        )
        div.set("role", "group")
        div.set("aria-label", "formula")
        if tag := TAG.search(math):
            div.set("id", f"eq-{tag[1]}")
            div.set("aria-label", f"formula {tag[1]}")
        div.text = AtomicString(self.md.htmlStash.store(render(math.strip(), True)))


class LinkEquations(Postprocessor):
    """`eq. 12.3` in a comment of a listing leads to the formula."""

    def run(self, text: str) -> str:
        def link(match: re.Match[str]) -> str:
            if f'id="eq-{match[1]}"' not in text:
                return match[0]
            return f'<a class="eq" href="#eq-{match[1]}">{match[0]}</a>'

        return re.sub(
            r'<span class="c1">.*?</span>', lambda comment: CITED.sub(link, comment[0]), text, flags=re.DOTALL
        )


class Formulas(ArithmatexExtension):
    """The extension; `assets` is the folder for KaTeX's style sheet and fonts."""

    def __init__(self, **kwargs: Any) -> None:
        self.assets = kwargs.pop("assets", "")
        super().__init__(generic=True, **kwargs)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        super().extendMarkdown(md)
        if self.assets:
            install_assets(Path(self.assets))
        inline = md.inlinePatterns["arithmatex-inline"]
        md.inlinePatterns.register(
            InlineFormula(inline.pattern, self.getConfigs()), "arithmatex-inline", 189.9
        )
        md.inlinePatterns["arithmatex-inline"].md = md
        block = md.parser.blockprocessors["arithmatex-block"]
        formula = BlockFormula(block.pattern.pattern, self.getConfigs(), md)
        md.parser.blockprocessors.register(formula, "arithmatex-block", 79.9)
        md.postprocessors.register(LinkEquations(md), "link-equations", 5)


def makeExtension(**kwargs: Any) -> Formulas:  # noqa: N802
    """Python-Markdown's door."""
    return Formulas(**kwargs)
