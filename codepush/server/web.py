"""The web server under a supervisor: gunicorn, with all of its options.

``gunicorn`` itself does the same on a PaaS. It puts the current folder in front of all installed
modules, though: a ``config`` folder in the one where a person types ``codepush serve`` would then
be taken for ours.
"""

import os

from gunicorn.app.wsgiapp import WSGIApplication  # type: ignore[import-untyped] # no stubs


class _Web(WSGIApplication):  # type: ignore[misc] # for the same reason
    def chdir(self) -> None:
        """Change to the configured folder, and leave ``sys.path`` alone."""
        os.chdir(self.cfg.chdir)


def main() -> None:
    """Run gunicorn with the arguments of this process."""
    _Web("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()


if __name__ == "__main__":
    main()
