"""Reads reports on the event loop; what only differs in who says so is read once.

A fleet says few different things: of each release that it was downloaded, that it runs, that it
failed. So a body is remembered without the device's id, and the next one that is the same but for
the id is not parsed again.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from codepush.domain.errors import CodePushError
from codepush.domain.reports import Report, device_digest
from codepush.edge.memo import Memo
from codepush.edge.reported import DEPLOYS, DOWNLOADS, deploy_report, download_report, who
from codepush.edge.wire import LONGEST, either_spelling
from codepush.services.prepared import Mark
from codepush.services.snapshot import Snapshot

_MOST = 4_096
"""Bodies remembered, each of about 1 kB."""
_LONGEST_BODY = 1_000
"""Bytes of a body that is remembered; those of devices are about 250."""
_MARKS = (b'"client_unique_id":"', b'"clientUniqueId":"')
"""As every JSON writer of an SDK has it; with spaces in between, each body is parsed."""
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._~-]{1,200}").fullmatch
_NOBODY = b"nobody"


@dataclass(frozen=True, slots=True)
class Reading:
    """A report that is right in every way, and the deployments it is about.

    Attributes:
        previous: Of the deployment that the device ran before, if it names another. Kept here,
            since a release there may make the snapshot let go of it before the report is counted.
    """

    report: Report
    mark: Mark
    previous: Mark | None

    @property
    def is_valid(self) -> bool:
        """Whether the keys still lead where they led."""
        return self.mark.is_valid and (self.previous is None or self.previous.is_valid)


class Reader:
    """Reads bodies of reports; for one thread only, the event loop's."""

    def __init__(self, snapshot: Snapshot, prefix: str):
        """Find deployments in ``snapshot``; ``prefix`` may stand before the paths, too."""
        self._snapshot = snapshot
        self._memo: Memo[Reading] = Memo(_MOST)
        readers = dict.fromkeys(DEPLOYS, deploy_report) | dict.fromkeys(DOWNLOADS, download_report)
        self._readers = {
            (start + path).encode(): read
            for path, read in readers.items()
            for start in {"", prefix}
        }
        self.paths = frozenset(self._readers)

    def forget(self) -> None:
        """Read everything anew; to be called now and then, since releases come and go."""
        self._memo.clear()

    def read(self, path: bytes, body: bytes) -> tuple[Reading, str] | None:
        """Return what a body says, and the digest of the device that says it.

        Returns:
            None where anything is unusual: Flask finds the deployment then, or says what is wrong.
        """
        for mark in _MARKS:
            before, found, after = body.rpartition(mark)
            if found:
                break
        identifier, _, after = after.partition(b'"')
        if not (found and _PLAIN_ID(identifier)):
            told = self._parse(path, body)
            return told and (told[0], who(told[1]))
        # No NUL is in any JSON.
        key = b"\0".join((path, before, mark, after))
        reading = self._memo.get(key)
        if reading is None or not reading.is_valid:
            told = self._parse(path, body)
            if told is None:
                return None
            reading, fields = told
            other = self._parse(path, b"".join((before, mark, _NOBODY, b'"', after)))
            is_whose = fields | {"client_unique_id": _NOBODY.decode()}
            if other is None or other[1] != is_whose:
                return reading, who(fields)  # the mark was somewhere else
            if len(body) <= _LONGEST_BODY:
                self._memo.put(key, reading)
        reading.mark.is_used = True
        if reading.previous is not None:
            reading.previous.is_used = True
        return reading, device_digest(identifier.decode())

    def _parse(self, path: bytes, body: bytes) -> tuple[Reading, dict[str, Any]] | None:
        try:
            told = orjson.loads(body)
            if not isinstance(told, dict):
                return None
            fields = either_spelling(told)
            for name, value in fields.items():
                sound = isinstance(value, str) and len(value) <= LONGEST
                if not (sound or value is None or name == "error"):
                    return None
            report = self._readers[path](fields)
        except (orjson.JSONDecodeError, CodePushError):
            return None
        prepared = self._snapshot.held(report.key)
        previous = self._snapshot.held(report.previous_key) if report.previous_key else None
        if prepared is None or (report.previous_key and previous is None):
            return None
        return Reading(report, prepared.mark, previous.mark if previous else None), fields
