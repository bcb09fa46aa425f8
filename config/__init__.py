"""Defaults of every setting, and how each environment differs from them."""
