"""The time as connections need it: read often, true to half a second."""

import time
from email.utils import formatdate


class CoarseClock:
    """A clock that somebody else winds.

    Attributes:
        now: Monotonic, in seconds.
        date_line: The Date header of an answer, with its line end.
    """

    __slots__ = ("date_line", "now")

    def __init__(self) -> None:
        """Set it."""
        self.now = 0.0
        self.date_line = b""
        self.wind()

    def wind(self) -> None:
        """Set it to the time it is."""
        self.now = time.monotonic()
        self.date_line = b"date: %b\r\n" % formatdate(usegmt=True).encode()
