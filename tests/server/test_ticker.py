from rq import Queue

from codepush.server.ticker import JOBS, Ticker
from codepush.store.connection import StoreClient, connect_queue


def test_of_many_workers_one_enqueues_the_jobs_of_a_period(
    redis: StoreClient, redis_url: str
) -> None:
    with connect_queue(redis_url) as client:
        tickers = [Ticker(client, "low") for _ in range(3)]
        assert [ticker.tick(7) for ticker in tickers] == [True, False, False]
        assert [job.func_name for job in Queue("low", connection=client).jobs] == list(JOBS)
        assert tickers[1].tick(8)
        assert len(Queue("low", connection=client).jobs) == 2 * len(JOBS)
