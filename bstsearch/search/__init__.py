"""Which submodels are worth having."""
