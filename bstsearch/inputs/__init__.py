"""How a picture or a text becomes the inputs of a model."""
