"""A whole server under all kinds of load at once, for minutes, while parts of it are killed."""
