from rq import Queue

from codepush.server.ticker import JOBS, NIGHTLY_S, OFTEN_S, Ticker
from codepush.store.connection import StoreClient, connect_queue


def test_of_many_workers_one_enqueues_the_jobs_of_a_period(
    redis: StoreClient, redis_url: str
) -> None:
    often, nightly = JOBS[OFTEN_S], JOBS[NIGHTLY_S]
    with connect_queue(redis_url) as client:
        tickers = [Ticker(client, "low") for _ in range(3)]
        now = 30 * NIGHTLY_S
        every = len(often) + len(nightly)
        assert [ticker.tick(now) for ticker in tickers] == [every, 0, 0]
        enqueued = [job.func_name for job in Queue("low", connection=client).jobs]
        assert enqueued == [*often, *nightly]
        assert tickers[1].tick(now + OFTEN_S) == len(often)
        assert tickers[2].tick(now + 3 * 3_600) == every
        assert tickers[2].tick(now + 3 * 3_600 + NIGHTLY_S - 1) == len(often)
