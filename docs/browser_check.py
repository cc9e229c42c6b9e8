"""The built site in a real Chromium: what a reader sees, hears, types and sends.

Run it after `mkdocs build --strict`, with `pip install -e ".[browser]"` and a Chromium installed:

    python docs/browser_check.py [--chromium PATH] [--screenshots FOLDER]

For every page, in light and in dark: no request leaves the site, no console errors, axe finds nothing
against WCAG A and AA, no sideways scroll on a phone. Then: the widgets move with the keyboard, also after
instant navigation, and formulas show with JavaScript off. Any failure is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

SITE = Path(__file__).parents[1] / "site"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
CONTRAST = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
STRUCTURE = {**WCAG, "rules": {"color-contrast": {"enabled": False}}}
"""What axe finds whatever the colours are."""
UNFOLD = 'document.querySelectorAll("details").forEach((folded) => { folded.open = true })'
THIN = """() => {
    const count = {}  // colours follow from classes: of elements within the same classes, three are enough
    const line = (e) => e.matches("article") ? "" : `${line(e.parentElement)} ${e.tagName}.${e.className}`
    for (const element of document.querySelectorAll("article *")) {
        const of = element.isConnected ? line(element) : ""
        count[of] = (count[of] || 0) + 1
        if (of && count[of] > 3) element.remove()
    }
}"""
WIDGETS = {
    "chapters/04-sigmoid-and-chain-rule/": "sigmoid-lab",
    "chapters/12-linear-layer/": "linear-lab",
    "chapters/15-train-mnist/": "softmax-lab",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Keep the terminal for findings."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a free port of this machine; gives its address."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Check:
    """Opens pages and collects what is wrong with them."""

    def __init__(self, browser: Browser, host: str, pages: list[str], pictures: Path | None) -> None:
        self.browser = browser
        self.host = host
        self.pages = pages
        self.pictures = pictures
        self.problems: list[str] = []

    @contextmanager
    def window(self, name: str, **options: Any) -> Iterator[Page]:
        """A fresh window that notes foreign requests, failed ones, and errors."""
        context = self.browser.new_context(**options)
        page = context.new_page()

        def note(what: str) -> None:
            self.problems.append(f"{page.url.removeprefix(self.host)} ({name}): {what}")

        def on_request(request: Any) -> None:
            if not request.url.startswith((self.host, "data:", "blob:")):
                note(f"a request leaves the site: {request.url}")

        page.on("request", on_request)
        page.on("response", lambda r: note(f"{r.status} for {r.url}") if r.status >= 400 else None)
        page.on("console", lambda m: note(f"console: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: note(f"script error: {error}"))
        self.note = note
        try:
            yield page
        finally:
            context.close()

    def open(self, page: Page, path: str) -> None:
        """Go to a page and wait until nothing moves."""
        page.goto(f"{self.host}/en/{path}", wait_until="networkidle")
        page.evaluate("document.fonts.ready")

    def picture(self, page: Page, name: str, path: str) -> None:
        """Keep a picture of the whole page, for human eyes."""
        if self.pictures:
            file = f"{name}-{path.strip('/').replace('/', '-') or 'home'}.png"
            page.screenshot(path=self.pictures / file, full_page=True)

    def every_page(self) -> None:
        """Light, dark and phone."""
        axe = Axe()
        for scheme in ("light", "dark"):
            with self.window(scheme, viewport=DESK, color_scheme=scheme) as page:
                for path in self.pages:
                    self.open(page, path)
                    self.picture(page, scheme, path)
                    page.evaluate(UNFOLD)
                    if scheme == "light":
                        self.ask(axe, page, STRUCTURE)
                    page.evaluate(THIN)
                    self.ask(axe, page, CONTRAST)
        with self.window("phone", viewport=PHONE, has_touch=True, is_mobile=True) as page:
            for path in self.pages:
                self.open(page, path)
                width = page.evaluate("document.documentElement.scrollWidth")
                if width > PHONE["width"]:
                    self.note(f"{width} pixels wide on a phone of {PHONE['width']}")
                self.picture(page, "phone", path)

    def ask(self, axe: Axe, page: Page, options: dict[str, Any]) -> None:
        """Note what axe finds on a page."""
        for violation in axe.run(page, options=options).response["violations"]:
            for node in violation["nodes"][:3]:
                message = " ".join(node["failureSummary"].split())
                self.note(f"axe {violation['id']}: {node['html'][:120]}: {message}")

    def widgets(self) -> None:
        """Every slider obeys the keyboard, has a name, and changes the drawing and the words."""
        with self.window("keyboard", viewport=DESK) as page:
            self.open(page, "")
            for path, tag in WIDGETS.items():
                # by way of the navigation, so that it is instant navigation that brings the widget
                page.evaluate("document.querySelector('a[href*=\"start/\"]').click()")
                page.wait_for_url("**/start/")
                page.evaluate(
                    "(path) => { const a = document.createElement('a'); a.href = '../' + path;"
                    " document.querySelector('article').append(a); a.click(); }",
                    path,
                )
                page.wait_for_url(f"**/{path}")
                page.wait_for_load_state("networkidle")
                sliders = page.locator(f"{tag} input[type=range]")
                if sliders.count() == 0:
                    self.note(f"{tag} did not come to life")
                for i in range(sliders.count()):
                    before = page.locator(tag).inner_html(), page.locator(f"{tag} p").last.inner_text()
                    sliders.nth(i).focus()
                    page.keyboard.press("ArrowRight")
                    page.keyboard.press("ArrowRight")
                    after = page.locator(tag).inner_html(), page.locator(f"{tag} p").last.inner_text()
                    if before[0] == after[0] or before[1] == after[1]:
                        self.note(f"slider {i} of {tag} does not move with the keyboard")
                    if not sliders.nth(i).evaluate("(input) => input.labels[0]?.innerText.trim()"):
                        self.note(f"slider {i} of {tag} has no label")
            self.picture(page, "keyboard", "widget")

    def sigmoid_numbers(self) -> None:
        """The widget says what equation 4.1 says."""
        with self.window("numbers", viewport=DESK) as page:
            self.open(page, "chapters/04-sigmoid-and-chain-rule/")
            sliders = page.locator("sigmoid-lab input")
            for i, value in enumerate(("3", "6")):
                sliders.nth(i).evaluate(
                    "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }",
                    value,
                )
            words = page.locator("sigmoid-lab p").last.inner_text()
            if "−2.00" not in words or "0.750" not in words:
                self.note(f"σ(3x + 6) crosses at −2 with slope 0.75, and the widget says: {words}")

    def without_scripts(self) -> None:
        """Formulas and plots need no JavaScript."""
        with self.window("no scripts", viewport=DESK, java_script_enabled=False) as page:
            for path in self.pages:
                page.goto(f"{self.host}/en/{path}")
                source = page.content()
                for kind, selector in [("formula", ".katex-html"), ("plot", "svg.plot")]:
                    found = page.locator(f"article > * {selector}, article > {selector}")
                    boxes = [found.nth(i).bounding_box() for i in range(min(found.count(), 40))]
                    hidden = sum(box is None or box["height"] < 5 for box in boxes)
                    # what is folded away in <details> or in another tab is allowed to be hidden
                    if boxes and hidden > len(boxes) / 3:
                        self.note(f"{hidden} of {len(boxes)} {kind}s cannot be seen")
                if "$$" in source.split("<article")[-1].split("</article")[0]:
                    self.note("a formula was left as it was typed")
            self.open(page, "chapters/04-sigmoid-and-chain-rule/")
            self.picture(page, "no-scripts", "chapter-04")


def main(arguments: list[str] | None = None) -> int:
    """Check the site; 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    parser.add_argument("--chromium", default=found, help="the browser (default: %(default)s)")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of every page")
    options = parser.parse_args(arguments)
    pages = sorted(
        p.parent.relative_to(SITE / "en").as_posix().removeprefix(".")
        for p in (SITE / "en").rglob("index.html")
    )
    pages = [f"{page}/" if page else "" for page in pages]
    if not pages:
        print("browser check: expected a built site; run `mkdocs build --strict` first", file=sys.stderr)
        return 2
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    with served(SITE) as host, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=QUIET)
        check = Check(browser, host, pages, options.screenshots)
        check.every_page()
        check.widgets()
        check.sigmoid_numbers()
        check.without_scripts()
        browser.close()
    for problem in check.problems:
        print(problem)
    print(f"browser check: {len(pages)} pages, {len(check.problems)} problems")
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
