"""Layers that more than one family builds with."""
