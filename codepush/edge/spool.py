"""Receives uploads into files, so that nobody waits for a client but its own connection.

Bounded: how many there are at once, how many of them one user sends, and how much of the disk they
take. Writing is done by threads of its own, each piece in turn: a slow disk must not keep the event
loop from answering devices, nor the threads of the app from answering everybody else.
"""

import errno
import io
import os
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import IO, Any

MOST = 64
"""Uploads that a process receives at once..."""
MOST_OF_ONE = 16
"""...and how many of them may be one user's."""
_THREADS = 2


class Spool:
    """The uploads of one process."""

    def __init__(self, folder: Path | None):
        """Keep them in ``folder``; where temporary files usually are, if that is None."""
        self.folder = folder
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")
        self._lock = Lock()
        self._senders: Counter[str] = Counter()
        self._bytes = 0

    def take_room(self, sender: str) -> bool:
        """Tell whether ``sender`` may send an upload; its file is to be closed then, once."""
        with self._lock:
            if self._senders.total() >= MOST or self._senders[sender] >= MOST_OF_ONE:
                return False
            self._senders[sender] += 1
            return True

    def give_room_back(self, sender: str) -> None:
        """Forget an upload."""
        with self._lock:
            self._senders[sender] -= 1
            if not self._senders[sender]:
                del self._senders[sender]

    def take_bytes(self, file: int, count: int) -> None:
        """Take so much of the disk of an open file; a negative count gives it back.

        Raises:
            OSError: More than half of what was free would be taken.
        """
        with self._lock:
            if count > 0:
                disk = os.fstatvfs(file)
                if disk.f_bavail * disk.f_frsize < self._bytes + count:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._bytes += count


class Upload(io.RawIOBase):
    """One upload: written by threads of the spool, then read once by the app."""

    def __init__(self, spool: Spool, sender: str | None):
        """Begin with nothing; the spool has given room to ``sender``, if there is one."""
        self._spool = spool
        self._sender = sender
        self._file: IO[bytes] | None = None
        self._fault: OSError | None = None
        self.size = 0

    def add(self, piece: bytes, *, is_last: bool) -> None:
        """Keep a piece. Where the disk refuses, reading says so."""
        if self._fault is not None:
            return
        try:
            if self._file is None:
                self._file = _file_without_a_name(self._spool.folder)
            self._spool.take_bytes(self._file.fileno(), len(piece))
            self.size += len(piece)
            self._file.write(piece)
            if is_last:
                self._file.seek(0)
        except OSError as exc:
            self._fault = exc
            self._let_go()

    def readable(self) -> bool:
        """Tell that it may be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            OSError: The disk refused it.
        """
        if self._fault is not None:
            raise self._fault
        if self._file is None:
            return b""
        piece = self._file.read(size)
        if size and not piece:
            self._let_go()  # what it was parsed into is on the same disk
        return piece

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; see ``read``."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Forget it."""
        self._let_go()
        sender, self._sender = self._sender, None
        if sender is not None:
            self._spool.give_room_back(sender)
        super().close()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        self._spool.take_bytes(-1, -self.size)
        self.size = 0
        try:
            file.close()
        except OSError as exc:  # it still had something to write
            self._fault = self._fault or exc


def _file_without_a_name(folder: Path | None) -> IO[bytes]:
    """Open a file that nothing is left of when the process is killed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)  # somebody may have tidied up
    return tempfile.TemporaryFile("wb+", dir=folder)
