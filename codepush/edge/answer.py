"""Answers that are written again and again, each time with the date."""


class Answer:
    """A whole answer but for its Date; to be used by one thread."""

    __slots__ = ("_date_line", "_dated", "_rest", "_status_line", "status")

    def __init__(self, written: bytes):
        """Keep an answer as it goes over the wire."""
        status_line, _, self._rest = written.partition(b"\r\n")
        self._status_line = status_line + b"\r\n"
        self.status = int(status_line[9:12] or 0)
        self._date_line = self._dated = b""

    def dated(self, date_line: bytes) -> bytes:
        """Return the answer with a header that is the same for all answers of a second."""
        if date_line is not self._date_line:
            self._date_line = date_line
            self._dated = self._status_line + date_line + self._rest
        return self._dated

    def last(self, date_line: bytes) -> bytes:
        """Return the answer as the last one of its connection."""
        return self._status_line + b"connection: close\r\n" + date_line + self._rest
