"""Operator commands, one file a noun; ``codepush/cli.py`` joins them."""
