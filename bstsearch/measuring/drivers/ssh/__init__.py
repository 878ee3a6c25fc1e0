"""A board reached over ssh."""
