"""One file per architecture; each makes a `FAMILY` (see bstsearch/model/family.py)."""
