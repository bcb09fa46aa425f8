"""Records that cannot be read, as after a change by hand."""

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What reading a damaged record raises."""
