"""Leaves to the processes that the tests start what is imported there only."""

collect_ignore_glob = ["*readers.py"]
