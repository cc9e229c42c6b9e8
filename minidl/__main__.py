"""`python -m minidl` is the `minidl` command."""

import sys

from minidl.cli.main import main

sys.exit(main())
