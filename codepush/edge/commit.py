"""Reports taken on the event loop, many at a time.

What arrives while Redis works on a batch goes into the next one, so the more there is, the cheaper
each is. A report is answered when Redis has acknowledged its batch, and not before.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import orjson
import redis

from codepush.domain.errors import CodePushError
from codepush.domain.reports import Outcome, Report
from codepush.edge.refusals import ACCEPTED, AWAY, UNKNOWN
from codepush.edge.reported import DEPLOYS, DOWNLOADS, deploy_report, download_report
from codepush.edge.wire import LONGEST, either_spelling
from codepush.services.clock import Clock
from codepush.services.reporting import REPORTS
from codepush.services.snapshot import Snapshot
from codepush.settings import Settings
from codepush.store.reports import Address, Item, Leaving, ReportStore
from codepush.telemetry.metrics import BATCH_SIZE

log = logging.getLogger("codepush.edge")

Done = Callable[[bytes], None]
"""Is given the answer."""

_THREADS = 4
_MOST_WAITING = 20_000
"""Reports that wait for Redis; more are refused, and devices send them again."""


class Reports:
    """Takes reports of one process; for one thread only, the event loop's."""

    def __init__(self, snapshot: Snapshot, store: ReportStore, clock: Clock, settings: Settings):
        """Find deployments in ``snapshot`` and count in ``store``."""
        self._snapshot = snapshot
        self._store = store
        self._clock = clock
        # Not the threads of Flask: uploads may hold all of those.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reports")
        self._waiting: list[tuple[Address, Report, Done]] = []
        self._task: asyncio.Task[None] | None = None
        readers = dict.fromkeys(DEPLOYS, deploy_report) | dict.fromkeys(DOWNLOADS, download_report)
        if settings.quota_device_per_minute:
            readers = {}  # Flask counts them
        prefixes = {"", settings.public_path}
        self._readers = {
            (prefix + path).encode(): read for path, read in readers.items() for prefix in prefixes
        }
        self.paths = frozenset(self._readers)

    def take(self, path: bytes, body: bytes, done: Done) -> bool:
        """Take a report; ``done`` is called with the answer, later.

        Returns:
            False where it is not a usual one, and left to Flask; ``done`` is not called then.
        """
        report = self._read(path, body)
        prepared = self._snapshot.held(report.key) if report is not None else None
        if report is None or prepared is None:
            return False
        if len(self._waiting) >= _MOST_WAITING:
            done(AWAY)
            return True
        self._waiting.append((prepared.address, report, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        return True

    def _read(self, path: bytes, body: bytes) -> Report | None:
        """Return a report that is right in every way; of all others, Flask says what is wrong."""
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
        previous = report.previous_key
        if previous and previous != report.key and self._snapshot.held(previous) is None:
            return None
        return report

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._commit(batch)
            except Exception as exc:  # devices must not wait for ever, whatever it is
                is_foreseen = isinstance(exc, redis.RedisError)
                log.error("reports were not taken (%s)", exc, exc_info=not is_foreseen)  # noqa: TRY400
                for _, _, done in batch:
                    done(AWAY)
        self._task = None

    async def _commit(self, batch: list[tuple[Address, Report, Done]]) -> None:
        """Count a batch and answer it; raises before it has answered any."""
        BATCH_SIZE.observe(len(batch))
        items: defaultdict[Address, list[Item]] = defaultdict(list)
        for address, report, _ in batch:
            items[address].append(report)
        outcomes = {address: iter(found) for address, found in await self._count(items)}
        answers = []
        leaving: defaultdict[Address, list[Item]] = defaultdict(list)
        for address, report, _ in batch:
            outcome = next(outcomes[address])
            REPORTS.add(1, report.happening.name.lower(), outcome.name.lower())
            answers.append(UNKNOWN if outcome is Outcome.UNKNOWN_DEPLOYMENT else ACCEPTED)
            left = report.leaves(outcome)
            previous = self._snapshot.held(left) if left else None
            if previous is not None:
                leaving[previous.address].append(Leaving(report.device))
        if leaving:
            await self._count(leaving)
        for (_, _, done), answer in zip(batch, answers, strict=True):
            done(answer)

    async def _count(self, items: dict[Address, list[Item]]) -> list[tuple[Address, list[Outcome]]]:
        """Count reports, all of a deployment in one step, several deployments at once.

        The client is that of everybody, since it knows clusters, sentinels and patience: a hop into
        a thread costs less than one report, and is shared by all of a batch.
        """
        loop = asyncio.get_running_loop()
        now_ms = self._clock()

        def count(address: Address) -> tuple[Address, list[Outcome]]:
            return address, self._store.count_many(address, items[address], now_ms=now_ms)

        work = [loop.run_in_executor(self._threads, count, address) for address in items]
        done = await asyncio.gather(*work, return_exceptions=True)
        failed = [each for each in done if isinstance(each, BaseException)]
        if failed:
            raise failed[0]
        return [each for each in done if not isinstance(each, BaseException)]

    async def close(self) -> None:
        """Finish what was begun."""
        if self._task is not None:
            await self._task
        self._threads.shutdown(wait=False)
