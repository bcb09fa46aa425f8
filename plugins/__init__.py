"""Storage backends, found by entry point. Each is one file and knows the domain only."""
