"""Reports taken on the event loop, many at a time.

What arrives while Redis works on a batch goes into the next one, so the more there is, the
cheaper each is; where there is much, the next one is there when Redis is done. A report is answered
when Redis has acknowledged its batch, and not before.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import redis

from codepush.domain.reports import Outcome, Told
from codepush.edge.answer import Answer
from codepush.edge.reading import Reader, Reading
from codepush.edge.refusals import ACCEPTED, AWAY, UNKNOWN, unavailable
from codepush.edge.watch import time_reports
from codepush.services.clock import Clock
from codepush.services.reporting import REFUSED, REPORTS
from codepush.services.snapshot import Snapshot
from codepush.settings import Settings
from codepush.store.line import Line, LineError
from codepush.store.reports import MAX_BATCH, Address, ReportStore, counting, outcomes
from codepush.telemetry.metrics import BATCH_SIZE
from codepush.web.errors import STORE_FAILURES, why_unavailable

log = logging.getLogger("codepush.edge")

Done = Callable[[Answer], None]
"""Is given the answer."""

_THREADS = 4
_MOST_AT_ONCE = 2
_WORTHWHILE = 24
"""Batches on their way, and reports that are worth sending one before the last is answered: each
costs about ten reports, to wake the store."""
_MOST_WAITING = 20_000
"""Reports that wait for Redis; more are refused, and devices send them again."""
_TIMEOUT_S = 10.0

_Waiting = tuple[Reading, str, Done]
_Batch = dict[Address, list[_Waiting]]


class Reports:
    """Takes reports of one process; for one thread only, the event loop's."""

    def __init__(self, snapshot: Snapshot, store: ReportStore, clock: Clock, settings: Settings):
        """Find deployments in ``snapshot`` and count in ``store``."""
        self._clock = clock
        self._counting = _Counting(store)
        self._waiting: defaultdict[Address, list[_Waiting]] = defaultdict(list)
        self._count_waiting = 0
        self._waiting_since = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_due = False
        self._reader = Reader(snapshot, settings.public_path)
        # With a quota for devices, Flask counts them.
        self.paths = frozenset() if settings.quota_device_per_minute else self._reader.paths

    def take(self, path: bytes, body: bytes, done: Done) -> bool:
        """Take a report; ``done`` is called with the answer, later.

        Returns:
            False where it is not a usual one, and left to Flask; ``done`` is not called then.
        """
        read = self._reader.read(path, body)
        if read is None:
            return False
        reading, device = read
        if self._count_waiting >= _MOST_WAITING:
            REPORTS.add(1, reading.report.happening, REFUSED)
            done(AWAY)
            return True
        if not self._count_waiting:
            self._waiting_since = time.perf_counter()
        self._waiting[reading.mark.address].append((reading, device, done))
        self._count_waiting += 1
        self._begin()
        return True

    def forget(self) -> None:
        """Forget what bodies said; to be called now and then."""
        self._reader.forget()

    def _begin(self) -> None:
        """Commit what waits, if it is time; after all that can be read now was read."""
        enough = _WORTHWHILE if self._tasks else 1
        if self._is_due or self._count_waiting < enough or len(self._tasks) == _MOST_AT_ONCE:
            return
        self._is_due = True
        task = asyncio.get_running_loop().create_task(self._work())
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begin()

    async def _work(self) -> None:
        batch, self._waiting = self._waiting, defaultdict(list)
        began = self._waiting_since
        self._count_waiting = 0
        self._is_due = False
        steps = self._counting.steps
        try:
            answers = await self._commit(batch)
        except Exception as exc:  # devices must not wait for ever, whatever it is
            is_foreseen = isinstance(exc, redis.RedisError)
            log.error("reports were not taken (%s)", exc, exc_info=not is_foreseen)  # noqa: TRY400
            has_written = (
                self._counting.steps != steps
            )  # or another batch has; devices report again
            why = why_unavailable(exc, has_written=has_written)
            answers = [(done, unavailable(why)) for each in batch.values() for _, _, done in each]
            _count_refused(batch)
        for done, answer in answers:
            try:
                done(answer)
            except Exception:  # of one connection, must not keep all others waiting for ever
                log.exception("a report's answer could not be written")
        time_reports(time.perf_counter() - began)

    async def _commit(self, batch: _Batch) -> list[tuple[Done, Answer]]:
        """Count a batch; return what to answer."""
        found = await self._count(
            {
                address: [(reading.report, device) for reading, device, _ in each]
                for address, each in batch.items()
            }
        )
        tally: Counter[tuple[str, Outcome]] = Counter()
        answers = []
        leaving: defaultdict[Address, list[Told]] = defaultdict(list)
        for each, became in zip(batch.values(), found, strict=True):
            for (reading, device, done), outcome in zip(each, became, strict=True):
                report = reading.report
                tally[report.happening, outcome] += 1
                answers.append(
                    (done, UNKNOWN if outcome is Outcome.UNKNOWN_DEPLOYMENT else ACCEPTED)
                )
                if reading.previous is not None and report.leaves(device, outcome):
                    leaving[reading.previous.address].append((report.leaving(), device))
        if leaving:
            await self._count(leaving)
        BATCH_SIZE.observe(len(answers))
        for (what, outcome), count in tally.items():
            REPORTS.add(count, what, outcome.name.lower())
        return answers

    async def _count(self, told: dict[Address, list[Told]]) -> list[list[Outcome]]:
        """Count reports, all of a deployment in one step, several deployments at once."""
        now_ms = self._clock()
        trouble = _Trouble()
        work = [
            self._counting.count(address, each, now_ms, trouble) for address, each in told.items()
        ]
        if len(work) == 1:
            return [await work[0]]
        done = await asyncio.gather(*work, return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return done  # type: ignore[return-value] # none is an exception

    async def close(self) -> None:
        """Finish what was begun."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._counting.close()


def _count_refused(batch: _Batch) -> None:
    """Count reports that the store did not take, as Flask does."""
    told = Counter(reading.report.happening for each in batch.values() for reading, _, _ in each)
    for what, count in told.items():
        REPORTS.add(count, what, REFUSED)
    STORE_FAILURES.add(told.total())


class _Trouble:
    """Why a batch cannot be counted: a store that is away is waited for once, not by each step."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: redis.RedisError | None = None


class _Counting:
    """Counts on a line; and where that breaks, or there is none, with the ordinary client."""

    def __init__(self, store: ReportStore):
        self._store = store
        # Not the threads of Flask: uploads may hold all of those.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reports")
        self._line: Line | None = None
        self.steps = 0  # that were counted
        self._may_connect = True

    async def count(
        self, address: Address, told: Sequence[Told], now_ms: int, trouble: _Trouble
    ) -> list[Outcome]:
        """Count reports of one deployment, in their order.

        Raises:
            redis.RedisError: The store is away; which of them were counted is not known.
        """
        became: list[Outcome] = []
        for start in range(0, len(told), MAX_BATCH):
            became += await self._step(address, told[start : start + MAX_BATCH], now_ms, trouble)
            self.steps += 1
        return became

    async def _step(
        self, address: Address, told: Sequence[Told], now_ms: int, trouble: _Trouble
    ) -> list[Outcome]:
        line = self._line
        if line is not None and line.is_open:
            try:
                return outcomes(await line.run(counting(address, told, now_ms=now_ms), _TIMEOUT_S))
            except LineError as exc:
                log.debug("reports are counted another way (%s)", exc)

        def count() -> list[Outcome]:
            if trouble.error is not None:
                raise trouble.error
            try:
                return self._store.count_many(address, told, now_ms=now_ms)
            except redis.RedisError as exc:
                trouble.error = exc
                raise

        became = await asyncio.get_running_loop().run_in_executor(self._threads, count)
        if self._may_connect and (self._line is None or not self._line.is_open):
            await self._connect()
        return became

    async def _connect(self) -> None:
        self._may_connect = False
        loop = asyncio.get_running_loop()
        try:
            connection = await loop.run_in_executor(self._threads, self._store.connected)
        except redis.RedisError as exc:
            log.debug("there is no line to the store (%s)", exc)
        else:
            if connection is None:
                return  # of this store, there never will be one
            self._line = self._store.line(connection)
        self._may_connect = True

    def close(self) -> None:
        """Let go of connections and threads."""
        self._may_connect = False
        if self._line is not None:
            self._line.close()
        self._threads.shutdown(wait=False)
