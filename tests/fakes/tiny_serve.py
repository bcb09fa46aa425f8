"""``codepush serve`` for the application named on its command line."""

import logging
import sys

from codepush.server.errors import ServerError
from codepush.server.supervisor import Supervisor
from codepush.settings import load_settings

logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
try:
    sys.exit(
        Supervisor(
            load_settings(), app=sys.argv[1], on_ready=lambda: print("ready", flush=True)
        ).run()
    )
except ServerError as exc:
    print(f"codepush: {exc}", file=sys.stderr)
    sys.exit(2)
