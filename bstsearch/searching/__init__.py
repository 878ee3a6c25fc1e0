"""Which submodels are worth having (no torch)."""
