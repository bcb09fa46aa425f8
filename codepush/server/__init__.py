"""The processes of a server: the embedded store, their supervisor, the worker."""
