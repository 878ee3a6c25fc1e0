"""A phone or computer reached through its web browser."""
