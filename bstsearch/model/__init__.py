"""What a slimmable model is: its family, its slices, its supernet, what it costs."""
