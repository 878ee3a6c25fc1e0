"""Leaves to the processes that the tests start what is imported there only."""

collect_ignore = ["model_readers.py", "readers.py"]
