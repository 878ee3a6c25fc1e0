"""A picked submodel, written as a folder that runs on its own, and checked (no torch)."""
