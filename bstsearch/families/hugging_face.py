"""Stock models of Hugging Face's transformers: one family for all of their classes (see `bstsearch.stock`)."""

from bstsearch.stock.family import FAMILY

__all__ = ["FAMILY"]
