import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from codepush.server.access import store_url
from codepush.server.embedded import EmbeddedStore
from codepush.server.sockets import Answer, ask
from codepush.settings import load_settings
from tests.server.processes import Counter, Processes, Server, connect, is_alive, wait_for


def value(processes: Processes) -> int:
    """The counter, read as a command reads it."""
    settings = load_settings(processes.environment())
    with store_url(settings) as url, connect(url) as client:
        return int(client.get("count") or 0)


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


@pytest.fixture
def server(processes: Processes) -> Server:
    return processes.serve().wait_until_ready()


def test_it_serves_and_its_children_share_store_and_folder(
    server: Server, processes: Processes
) -> None:
    assert server.get("/health") == (200, "ok")
    assert server.get("/env")[1].split("\n") == [server.store.url, str(processes.data_dir)]
    assert server.stop() == 0


def test_a_setting_that_is_empty_is_unset_for_gunicorn_too(processes: Processes) -> None:
    server = processes.serve(WEB_CONCURRENCY="").wait_until_ready()
    wait_for(lambda: len(server.child(".web").children()) == 2, "as many processes as by default")
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_web_then_worker_then_store(server: Server, number: int) -> None:
    web, worker, store = (server.child(word) for word in (".web", ".worker", "valkey"))
    server.process.send_signal(number)
    assert server.wait() == 0
    assert not any(is_alive(process) for process in (web, worker, store))
    steps = [line for line in server.errors if ": stopping" in line]
    assert [step.rpartition(" ")[2] for step in steps] == ["web", "worker", "store"]
    assert not server.said("killing")


def test_a_reload_that_is_asked_for_too_early_waits(processes: Processes) -> None:
    server = processes.serve()
    web = server.child(".web")
    server.process.send_signal(signal.SIGUSR1)
    server.wait_until_ready()
    assert server.child(".web").pid == web.pid
    wait_for(lambda: server.said("new web processes take over"), "the reload")
    wait_for(lambda: server.get("/health") == (200, "ok"), "answers")
    assert server.child(".web").pid == web.pid
    assert server.stop() == 0


def test_a_request_at_work_is_answered_before_the_stop(server: Server) -> None:
    answers: list[tuple[int, str]] = []
    request = threading.Thread(target=lambda: answers.append(server.get("/slow")))
    request.start()
    time.sleep(0.3)
    assert server.stop() == 0
    request.join(10)
    assert answers == [(200, "done")]


def test_a_second_signal_hurries_the_stop(processes: Processes) -> None:
    server = processes.serve(app="tests.fakes.tiny_app:app").wait_until_ready()
    with socket.create_connection(("127.0.0.1", processes.port)) as stuck:
        # An upload that never ends would be waited for as long as gunicorn is patient.
        stuck.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.8)
        assert server.process.poll() is None
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
    assert time.monotonic() - began < 15


def test_every_part_that_is_killed_is_started_again_and_nothing_is_lost(
    server: Server, processes: Processes
) -> None:
    counter = Counter(server.store.url)
    for word in ("valkey", ".web", ".worker"):
        counter.wait_for_more()
        old = server.child(word)
        kill(old)
        wait_for(lambda old=old: not is_alive(old), "death")
        new = server.child(word)
        assert new.pid != old.pid
        counter.wait_for_more()
        wait_for(lambda: server.get("/health") == (200, "ok"), "health after the restart")
    acknowledged = counter.stop()
    assert server.said("valkey.log) ended (killed by SIGKILL); starting it again now")
    assert server.stop() == 0
    assert value(processes) >= acknowledged


@pytest.mark.parametrize("is_worker_killed", [False, True])
def test_a_process_that_delivers_and_heeds_nothing_does_not_outlive_the_server(
    server: Server, is_worker_killed: bool
) -> None:
    def deliverers() -> list[psutil.Process]:
        return server.child("worker").children()

    wait_for(lambda: len(deliverers()) == 1, "the process that delivers")
    stuck = deliverers()[0]
    stuck.suspend()
    if is_worker_killed:
        server.child("worker").kill()
    server.process.terminate()
    assert server.wait(40) == 0
    assert not is_alive(stuck)


def test_requests_wait_while_the_web_server_starts_again(server: Server) -> None:
    web = server.child(".web")
    for process in (*web.children(), web):
        kill(process)
    assert server.get("/health") == (200, "ok")
    assert server.stop() == 0


def test_web_processes_whose_master_was_killed_end(server: Server) -> None:
    web = server.child(".web")
    orphans = web.children()
    assert orphans
    kill(web)
    wait_for(lambda: not any(is_alive(process) for process in orphans), "their end", 10)
    assert server.stop() == 0


def test_when_the_supervisor_is_killed_web_and_worker_end_and_the_next_start_works(
    server: Server, processes: Processes
) -> None:
    counter = Counter(server.store.url)
    counter.wait_for_more()
    web, worker, store = (server.child(word) for word in (".web", ".worker", "valkey"))
    families = [web, *web.children(), worker]
    server.process.kill()
    wait_for(lambda: not any(is_alive(process) for process in families), "their end", 8)
    assert is_alive(store)
    counter.wait_for_more()
    again = processes.serve().wait_until_ready()
    assert not is_alive(store)
    counter.wait_for_more()
    acknowledged = counter.stop()
    assert again.get("/health") == (200, "ok")
    assert again.stop() == 0
    assert value(processes) >= acknowledged


def test_a_start_right_after_kill_9_of_the_supervisor_works(
    server: Server, processes: Processes
) -> None:
    with socket.create_connection(("127.0.0.1", processes.port)) as slow:
        # Keeps the old web server busy, on the port, for a while after its supervisor died.
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        server.process.kill()
        again = processes.serve().wait_until_ready()
        assert b"done" in slow.makefile("rb").read()
    assert again.stop() == 0


def test_when_everything_is_killed_nothing_is_lost_and_the_next_start_works(
    server: Server, processes: Processes
) -> None:
    counter = Counter(server.store.url)
    counter.wait_for_more()
    for process in processes.alive():
        kill(process)
    server.wait()
    wait_for(lambda: not processes.alive(), "all are dead")
    acknowledged = counter.stop()
    assert (processes.data_dir / "valkey.sock").exists()
    again = processes.serve().wait_until_ready()
    assert again.stop() == 0
    assert value(processes) >= acknowledged


def test_a_second_server_is_refused_with_a_sentence(server: Server, processes: Processes) -> None:
    second = processes.serve()
    assert second.wait() == 2
    wait_for(
        lambda: second.said(f"in use by another codepush serve (process {server.process.pid}"),
        "the sentence",
    )
    assert server.get("/health") == (200, "ok")
    assert server.stop() == 0


def test_commands_use_the_store_of_the_running_server(server: Server, processes: Processes) -> None:
    with connect(server.store.url) as client:
        client.set("count", 41)
        client.incr("count")
    assert value(processes) == 42
    assert is_alive(server.child("valkey"))
    assert server.stop() == 0
    assert value(processes) == 42


def test_a_port_in_use_is_said_at_once(processes: Processes) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", processes.port))
        other.listen()
        began = time.monotonic()
        server = processes.serve()
        assert server.wait() == 2
    assert time.monotonic() - began < 15
    wait_for(lambda: server.said(f"PORT {processes.port} is already in use"), "the sentence")
    assert any("set PORT" in line for line in server.errors)


def test_a_web_server_that_cannot_start_stops_everything(processes: Processes) -> None:
    server = processes.serve(app="tests.fakes.no_such_module:app")
    assert server.wait() == 2
    wait_for(lambda: server.said("The web server ended at its start (exit code"), "the sentence")
    assert not processes.alive()


def test_a_redis_of_ones_own_is_used_and_not_touched(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    own = EmbeddedStore(tmp_path / "own")
    own.start("serve")
    server = processes.serve(REDIS_URL=own.url).wait_until_ready()
    assert server.get("/env")[1].split("\n")[0] == own.url
    assert not (processes.data_dir / "store").exists()
    assert server.stop() == 0
    assert own.poll() is None
    own.stop()


def test_a_client_header_changes_neither_scheme_nor_path(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.processes.port)) as client:
        client.sendall(
            b"GET /scheme HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Ssl: on\r\nSCRIPT_NAME: /x\r\nConnection: close\r\n\r\n"
        )
        assert client.makefile("rb").read().endswith(b"\r\n\r\nhttp")
    query = "x" * 8150
    assert server.get(f"/health?{query}") == (200, "ok")
    assert server.stop() == 0


def test_a_folder_with_names_of_ours_does_not_confuse_the_server(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("config", "codepush", "gunicorn"):
        (tmp_path / "project" / name).mkdir(parents=True)
        (tmp_path / "project" / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    monkeypatch.chdir(tmp_path / "project")
    server = processes.serve().wait_until_ready()
    assert server.stop() == 0


def test_what_came_up_well_and_is_killed_again_and_again_does_not_wait_longer(
    server: Server,
) -> None:
    for word in (".web", "valkey"):
        for _ in range(3):
            old = server.child(word)
            kill(old)
            wait_for(lambda old=old: not is_alive(old), "death")
            web = str(server.child(".web").pid)
            wait_for(lambda web=web: server.get("/master") == (200, web), "the new web server", 5)
            wait_for(lambda: ask(server.store.socket_path) is Answer.READY, "the store", 5)
            time.sleep(0.7)  # the supervisor looks too, though not as often
    assert not any("starting it again in" in line for line in server.errors), server.errors
    assert server.stop() == 0
