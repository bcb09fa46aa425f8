"""All data at once: looked through, written to a file, restored from it."""
