"""``python -m codepush``: the same as the ``codepush`` command."""

from codepush.cli import main

main()
