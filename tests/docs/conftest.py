"""Makes the site's own tools importable where minidl was installed without being editable."""

import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

if str(DOCS) not in sys.path:
    sys.path.insert(0, str(DOCS))
