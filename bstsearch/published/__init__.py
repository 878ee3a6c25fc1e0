"""Checkpoints of the published code bases, one file for each, read into this package's models.

The file named after a family says how that code base calls a model's tensors (`own_name`), which of them the model
never uses (`DEAD`), and how sizes are read off the shapes (`sizes_of`). `SIGN` is the start of a name that only this
family has.
"""
