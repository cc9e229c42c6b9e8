"""What the site needs beyond MkDocs: formulas, listings, plots, and fences that run.

Each module is one Python-Markdown extension or the plain functions that it shares with the tests:

- `katex`, `formulas`: formulas become HTML and MathML while the site is built, with no Node and no network
- `listings`: a line `@src minidl.nn.Linear.forward` becomes that function's source
- `fences`: finds and runs a page's Python fences
- `figures`, `plots`: run a page to draw the plots that its own code makes, in the site's colours
- `equations`: the tags that tie a formula, a line of source and a test together
"""
