"""Lets `pytest exercises/04_sigmoid` run what `minidl check 04` runs."""

from minidl.learn.plugin import answer, pytest_collection_modifyitems, pytest_runtest_makereport

__all__ = ["answer", "pytest_collection_modifyitems", "pytest_runtest_makereport"]
