"""From a preset to a trained supernet."""
