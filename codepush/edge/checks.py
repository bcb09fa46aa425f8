"""Update checks, answered on the event loop from memory: no thread, no store, no Flask.

Only what is usual: whatever is not is left to the Flask view, which gives the same answers and all
the errors.
"""

import re
from collections.abc import Callable

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from codepush.domain.errors import CodePushError
from codepush.domain.rollout import is_early
from codepush.domain.storage import BlobStorage
from codepush.domain.update_check import UpdateAnswer
from codepush.edge.answer import Answer
from codepush.edge.asking import CHECKS, JSON, Asked, Reply, read_check, reply
from codepush.edge.memo import Memo
from codepush.edge.wire import Speller
from codepush.services.acquisition import NO_UPDATE, UPDATE, UPDATE_CHECKS
from codepush.services.prepared import Mark, Prepared
from codepush.services.snapshot import Snapshot
from codepush.settings import Settings
from codepush.telemetry.counters import Cell
from codepush.web.context import origin_of, package_url_at

_MOST = 8_192
"""Decisions remembered, each of about 2 kB."""
_LONGEST_QUERY = 1_000
"""Bytes of a query that a decision is remembered by; a device's are about 250."""
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._~-]+").fullmatch


NOTHING = Answer(b"")

WantDiff = Callable[[Prepared, str, UpdateAnswer], None]


class _Decision:
    """What to tell devices that say the same of themselves, ready to be written."""

    __slots__ = ("mark", "rolling_out", "rollout", "settled", "settled_cell", "tail")

    def __init__(
        self,
        mark: Mark,
        settled: Answer,
        settled_cell: Cell,
        rolling_out: Answer,
        label: str,
        rollout: int,
    ):
        self.mark = mark
        self.settled = settled
        self.settled_cell = settled_cell
        self.rolling_out = rolling_out
        self.tail = f"-{label}".encode()
        self.rollout = rollout


class Checks:
    """Answers update checks of one process; for one thread only, the event loop's."""

    def __init__(
        self, snapshot: Snapshot, storage: BlobStorage, settings: Settings, want_diff: WantDiff
    ):
        """Answer from ``snapshot``, with download URLs of ``storage``.

        ``want_diff`` is told, and must return at once, when a device could use a diff.
        """
        self._want_diff = want_diff
        self._snapshot = snapshot
        self._storage = storage
        self._settings = settings
        self._updates = UPDATE_CHECKS.cell(UPDATE)
        self._others = UPDATE_CHECKS.cell(NO_UPDATE)
        self._memo: Memo[_Decision] = Memo(_MOST)
        self._is_usual = not settings.quota_device_per_minute
        # Behind proxies without PUBLIC_URL, each request's headers decide about URLs.
        self._is_usual &= bool(settings.public_url) or not settings.trusted_proxies
        self._is_by_host = not settings.public_url
        paths = CHECKS | {settings.public_path + path: speller for path, speller in CHECKS.items()}
        self._spellers = {path.encode(): speller for path, speller in paths.items()}
        self.paths = frozenset(self._spellers)

    def forget(self) -> None:
        """Work everything out anew; to be called now and then, since download URLs expire."""
        self._memo.clear()

    def answer(self, url: bytes, host: bytes) -> Answer | None:
        """Return an answer, or None to leave it to Flask.

        Args:
            url: Path and query, as sent.
            host: The Host header, as sent.
        """
        known, parameter, identifier = url.rpartition(b"&client_unique_id=")
        if not parameter:
            known, parameter, identifier = url.rpartition(b"&clientUniqueId=")
        if not parameter:
            known, identifier = url, b""
        elif _PLAIN_ID(identifier):
            known += parameter
        else:
            return None
        key = known + b" " + host if self._is_by_host else known
        decision = self._memo.get(key)
        if decision is None or not decision.mark.is_valid:
            decision = self._decide(known, host, is_named=bool(parameter))
            if decision is None:
                return None
            self._memo.put(key, decision)
        decision.mark.is_used = True
        rollout = decision.rollout
        if rollout and identifier and is_early(identifier + decision.tail, rollout):
            self._updates.count += 1
            return decision.rolling_out
        decision.settled_cell.count += 1
        return decision.settled

    def _decide(self, url: bytes, host: bytes, *, is_named: bool) -> _Decision | None:
        path, _, query = url.partition(b"?")
        if not self._is_usual or len(query) > _LONGEST_QUERY or b"#" in query:
            return None
        parameters = _parse(query)
        if parameters is None:
            return None
        try:
            asked = read_check(parameters.lists())
            if asked.client_unique_id:  # hidden in an unusual spelling
                return None
            return self._prepare(self._spellers[path], asked, host, is_named=is_named)
        except CodePushError:
            return None

    def _prepare(
        self, spell: Speller, asked: Asked, host: bytes, *, is_named: bool
    ) -> _Decision | None:
        request = asked.judge()
        prepared = self._snapshot.held(asked.key)
        origin = origin_of(self._settings, self._settings.scheme, host.decode("latin-1"), "")
        if prepared is None or origin is None:
            return None
        decision = prepared.candidates.decide(request)
        is_shared = not is_named and decision.rolling_out is None and not self._is_by_host

        def write(answer: UpdateAnswer | None) -> Answer:
            if answer is None:
                return NOTHING
            if answer.misses_diff:
                self._want_diff(prepared, asked.package_hash, answer)
            return _serialise(self._reply(answer, spell, origin, prepared, is_shared=is_shared))

        rollout = decision.rollout if decision.rolling_out else 0
        return _Decision(
            prepared.mark,
            write(decision.settled),
            self._updates if decision.settled.download else self._others,
            write(decision.rolling_out),
            decision.label,
            rollout,
        )

    def _reply(
        self,
        answer: UpdateAnswer,
        spell: Speller,
        origin: str,
        prepared: Prepared,
        *,
        is_shared: bool,
    ) -> Reply:
        return reply(
            answer,
            spell,
            lambda blob_key: package_url_at(self._storage, blob_key, lambda: origin),
            prepared,
            is_shared=is_shared,
            max_age_s=self._settings.cdn_max_age_s,
        )


def _parse(query: bytes) -> MultiDict[str, str] | None:
    """Return a query's parameters as the Flask view would see them; None if it would not."""
    try:
        return Request({"QUERY_STRING": query.decode("latin-1"), "REQUEST_METHOD": "GET"}).args
    except UnicodeDecodeError:
        return None


def _serialise(answer: Reply) -> Answer:
    headers = [
        ("Content-Type", JSON),
        ("Content-Length", str(len(answer.body))),
        ("Access-Control-Allow-Origin", "*"),
        *answer.headers,
    ]
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers)
    return Answer(b"HTTP/1.1 200 OK\r\n" + lines.encode("latin-1") + b"\r\n" + answer.body)
