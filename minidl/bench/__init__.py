"""The benchmark: what one training step costs, beside PyTorch's, the two in turn on the same cores or GPU.

`case` is one thing to measure, `cases` and `library` say what all is measured, and `networks` holds what
both sides run; `worker` is one side's process, `duel` lets two of them take turns; `flops` counts the
arithmetic; `report` turns turns into figures, `goals` says what they should be on a GPU, and `plots` draws
them. `minidl bench` is the command.
"""

from minidl.bench.case import Case
from minidl.bench.cases import CASES, select
from minidl.bench.duel import BenchError, Settings, duel
from minidl.bench.report import Report

__all__ = ["CASES", "BenchError", "Case", "Report", "Settings", "duel", "select"]
