"""A bundle that answers over HTTP: one process, all its submodels, each request before its deadline."""
