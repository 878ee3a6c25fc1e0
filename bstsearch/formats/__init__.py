"""How data sets lie on disk, one file for each way of laying them out."""
