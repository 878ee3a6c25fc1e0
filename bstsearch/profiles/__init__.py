"""What a device profile is, and the latencies it tells."""
