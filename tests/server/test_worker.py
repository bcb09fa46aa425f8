import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
import rq

from codepush.server.embedded import SERVE, EmbeddedStore
from codepush.store.connection import connect_queue
from codepush.store.queue import DELIVERIES, JobQueue
from codepush.store.vitals import JobVitals
from tests.server.processes import Processes, handles, is_alive, wait_for


@pytest.fixture
def store(data_dir: Path, processes: Processes) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(data_dir)
    store.start(SERVE)
    yield store
    store.stop()


@pytest.fixture
def worker(store: EmbeddedStore, processes: Processes) -> Iterator[Popen[str]]:
    worker = processes.python("-m", "codepush.server.worker", REDIS_URL=store.url)
    yield worker
    if worker.poll() is None:
        worker.kill()
    worker.communicate()


def enqueue(store: EmbeddedStore, job: str, *arguments: object, queue: str = "default") -> None:
    with connect_queue(store.url) as client:
        rq.Queue(queue, connection=client).enqueue(f"tests.fakes.jobs.{job}", *arguments)


def notes(store: EmbeddedStore) -> list[str]:
    with connect_queue(store.url) as client:
        return [note.decode() for note in client.lrange("notes", 0, -1)]


def test_jobs_of_all_queues_are_done(store: EmbeddedStore, worker: Popen[str]) -> None:
    for queue in ("low", "default", "high"):
        enqueue(store, "note", queue, queue=queue)
    wait_for(lambda: len(notes(store)) == 3, "three notes")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0


def test_a_job_at_work_is_finished_before_a_stop(store: EmbeddedStore, worker: Popen[str]) -> None:
    enqueue(store, "slow_note", "a", 1.0)
    enqueue(store, "note", "b")
    wait_for(lambda: notes(store) == ["a began"], "the job begins")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert notes(store) == ["a began", "a ended"]


def test_a_job_that_fails_is_tried_again_after_a_pause(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    queue = JobQueue(store.url)
    assert queue.enqueue("low", "tests.fakes.jobs.failing_note", "a", retry_after_s=(1, 2))
    wait_for(lambda: len(notes(store)) == 3, "three tries", 20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert notes(store) == ["a", "a", "a"]
    assert queue.length("low") == 0


def test_a_queue_that_cannot_be_reached_is_no_error(data_dir: Path) -> None:
    assert not JobQueue(EmbeddedStore(data_dir).url).enqueue("low", "tests.fakes.jobs.note", "a")


def test_a_restart_of_the_store_is_survived(store: EmbeddedStore, worker: Popen[str]) -> None:
    enqueue(store, "note", "before")
    wait_for(lambda: notes(store) == ["before"], "the first job")
    assert store.pid
    os.kill(store.pid, signal.SIGKILL)
    wait_for(lambda: store.poll() is not None, "death")
    time.sleep(0.5)
    store.let_go()
    store.start(SERVE)
    enqueue(store, "note", "after")
    wait_for(lambda: notes(store) == ["before", "after"], "the second job", 20)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0


def test_a_queue_that_forgot_everything_hears_of_its_workers_again(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    """As after a restart of a Redis that keeps nothing on a disk."""
    vitals = JobVitals(store.url)
    wait_for(lambda: vitals.silent_s() is not None, "both kinds of workers")
    with connect_queue(store.url) as client:
        client.flushall()
    assert vitals.silent_s() is None
    for queue in ("low", DELIVERIES):  # a heartbeat goes with each job, and else one in 45 s
        enqueue(store, "note", queue, queue=queue)
    wait_for(lambda: vitals.silent_s() is not None, "both kinds again")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    with connect_queue(store.url) as client:
        wait_for(lambda: rq.Worker.count(connection=client) == 0, "none that is gone is named")


def test_a_worker_waits_for_a_store_that_is_not_there_yet(
    data_dir: Path, processes: Processes
) -> None:
    store = EmbeddedStore(data_dir)
    worker = processes.python("-m", "codepush.server.worker", REDIS_URL=store.url)
    time.sleep(1.0)
    store.start(SERVE)
    enqueue(store, "note", "a")
    wait_for(lambda: notes(store) == ["a"], "the job", 20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    store.stop()


def test_a_worker_without_a_store_stops_when_asked(processes: Processes, data_dir: Path) -> None:
    worker = processes.python("-m", "codepush.server.worker", REDIS_URL=EmbeddedStore(data_dir).url)
    wait_for(lambda: handles(worker, signal.SIGTERM), "the worker listens")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_worker_that_crashes_tells_where_it_was(store: EmbeddedStore, worker: Popen[str]) -> None:
    enqueue(store, "note", "a")
    wait_for(lambda: notes(store) == ["a"], "the job")
    worker.send_signal(signal.SIGSEGV)
    _, errors = worker.communicate(timeout=10)
    assert worker.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in errors
    assert "codepush/server/worker.py" in errors, errors


def test_without_redis_url_a_worker_says_what_it_needs(processes: Processes) -> None:
    worker = processes.python("-m", "codepush.server.worker")
    _, errors = worker.communicate(timeout=10)
    assert worker.returncode != 0
    assert errors.startswith("codepush: A worker of its own needs REDIS_URL")


def companion_of(worker: "Popen[str]") -> psutil.Process:
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [
            child
            for child in psutil.Process(worker.pid).children()
            if child.cmdline()[-1:] == ["deliveries"]
        ]
        return len(found) == 1

    wait_for(look, "the process that delivers")
    return found[0]


def test_deliveries_and_other_jobs_do_not_wait_for_each_other(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    enqueue(store, "note_after", "a", "b")
    wait_for(lambda: notes(store) == ["a began"], "the job begins")
    enqueue(store, "note", "b", queue="deliveries")
    wait_for(lambda: len(notes(store)) == 3, "the end")
    assert notes(store) == ["a began", "b", "a ended"]
    enqueue(store, "note_after", "c", "d", queue="deliveries")
    wait_for(lambda: len(notes(store)) == 4, "the job begins")
    enqueue(store, "note", "d", queue="low")
    wait_for(lambda: len(notes(store)) == 6, "the end")
    assert notes(store)[3:] == ["c began", "d", "c ended"]


def test_the_process_that_delivers_is_started_again(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    first = companion_of(worker)
    first.kill()
    wait_for(lambda: not is_alive(first), "death")
    enqueue(store, "note", "a", queue="deliveries")
    wait_for(lambda: notes(store) == ["a"], "the job")
    assert companion_of(worker).pid != first.pid


def test_a_stop_waits_for_the_job_of_each(store: EmbeddedStore, worker: Popen[str]) -> None:
    companion = companion_of(worker)
    for queue in ("default", "deliveries"):
        enqueue(store, "slow_note", queue, 2.0, queue=queue)
    wait_for(lambda: len(notes(store)) == 2, "the jobs begin")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert not is_alive(companion)
    assert len(notes(store)) == 4


def test_a_second_signal_cuts_the_jobs_of_both_off(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    companion = companion_of(worker)
    for queue in ("default", "deliveries"):
        enqueue(store, "slow_note", queue, 60.0, queue=queue)
    wait_for(lambda: len(notes(store)) == 2, "the jobs begin")
    worker.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert not is_alive(companion)


def test_whoever_kills_the_worker_ends_the_process_that_delivers(
    store: EmbeddedStore, worker: Popen[str]
) -> None:
    companion = companion_of(worker)
    enqueue(store, "slow_note", "a", 5.0)  # its fork outlives the worker
    wait_for(lambda: notes(store) == ["a began"], "the job begins")
    worker.kill()
    wait_for(lambda: not is_alive(companion), "its end", 4)


def test_no_word_of_one_kind_of_worker_is_no_word(
    store: EmbeddedStore, processes: Processes
) -> None:
    vitals = JobVitals(store.url)
    alone = processes.python("-m", "codepush.server.worker", "deliveries", REDIS_URL=store.url)
    with connect_queue(store.url) as client:
        wait_for(lambda: rq.Worker.all(connection=client), "a worker")
    assert vitals.silent_s() is None
    alone.terminate()
    assert alone.wait(10) == 0
    both = processes.python("-m", "codepush.server.worker", REDIS_URL=store.url)
    wait_for(lambda: vitals.silent_s() is not None, "both kinds")
    both.terminate()
    assert both.wait(10) == 0
