"""How a device is described and measured."""
