"""Backups: what is in them, what they refuse, and that the copy is the same."""

import io
import json
import random
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from codepush.domain.errors import ConflictError
from codepush.services.backups import writing
from codepush.services.backups.backup import make_backup
from codepush.services.backups.mending import mend
from codepush.services.backups.reading import BackupFile, BackupFileError
from codepush.services.backups.restore import check_target, restore, restore_blobs
from codepush.services.backups.verification import Verification
from codepush.services.clock import system_clock
from codepush.services.vault import Vault
from codepush.settings import load_settings
from codepush.store import groups, keys, layout
from codepush.store.connection import StoreClient, connect
from plugins.storage_local import LocalStorage
from tests.api_client import Account, ApiClient, bundle
from tests.redis_servers import Cluster, RedisServer


@pytest.fixture
def source(redis: StoreClient, redis_url: str) -> StoreClient:
    return connect(redis_url, any_bytes=True)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "var" / "blobs")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[StoreClient]:
    """Another store, empty."""
    server = RedisServer(tmp_path / "other")
    try:
        yield connect(server.start().url, any_bytes=True)
    finally:
        server.kill()


def everything(client: Any) -> dict[str, Any]:
    """Return all that a backup is to keep, with when it expires."""
    found = {}
    for key in client.scan_iter(match="*"):
        if keys.is_lasting(key):
            raw = key.encode("utf-8", "surrogateescape")
            kind = client.type(raw)
            content = {
                "string": lambda k: client.get(k),
                "hash": lambda k: client.hgetall(k),
                "set": lambda k: sorted(client.smembers(k)),
                "zset": lambda k: client.zrange(k, 0, -1, withscores=True),
                "list": lambda k: client.lrange(k, 0, -1),
                "stream": lambda k: (
                    client.xrange(k),
                    [client.xinfo_stream(k)[f] for f in ("last-generated-id", "entries-added")],
                ),
            }[kind](raw)
            found[key] = (content, client.pexpiretime(raw))
    return found


@pytest.fixture
def full(api: ApiClient, source: StoreClient) -> StoreClient:
    """A store with some of everything."""
    api.add_app()
    for number in range(5):
        api.release(bundle(str(number)), version="1.0.0")
    api.promote()
    key = api.key()
    for device in range(40):
        api.report(
            "deploy",
            key,
            label="v2",
            app_version="1.0.0",
            status="DeploymentSucceeded",
            client_unique_id=f"{device}",
        )
    api.add_app("Other")
    return source


def odd_values(client: Any) -> None:
    """Every type, large and small, with what is no text and what is empty."""
    root = f"{keys.ROOT}:{{odd}}"
    client.set(f"{root}:text", b"a\xff\0\n\xc3\xa9", px=5_000_000)
    client.set(f"{root}:".encode() + b"name\xff", "no text")
    client.rpush(f"{root}:list", *(str(n) for n in range(7)))
    client.zadd(f"{root}:zset", {"a": 1.5, "b": float("inf"), "c": 1_750_000_000_123})
    for row in range(3):
        client.xadd(f"{root}:stream", {"e": str(row)})
    client.xtrim(f"{root}:stream", maxlen=0, approximate=False)
    for number in range(1_300):
        client.hset(f"{root}:hash", f"field {number}", "x" * number)
        client.sadd(f"{root}:set", str(number))
        client.zadd(f"{root}:large", {f"{number}": number})
        client.xadd(f"{root}:long", {"e": str(number), "f": ""}, id=f"{number + 1}-0")
        client.rpush(f"{root}:many", str(number))
    client.xdel(f"{root}:long", "1300-0")
    client.pexpire(f"{root}:hash", 5_000_000)


def save(client: StoreClient, storage: LocalStorage, path: Path, *, blobs: bool = False) -> Any:
    return make_backup(client, storage, system_clock, path, with_blobs=blobs)


def load(path: Path, target: StoreClient, storage: LocalStorage) -> Any:
    file = BackupFile(path)
    head = file.check()
    check_target(target, head)
    return restore(target, storage, file, head)


def faults(client: StoreClient, storage: LocalStorage) -> list[str]:
    vault = Vault(load_settings({"CODEPUSH_ENV": "testing"}).secret_keys)
    return [each.what for each in Verification(client, storage, system_clock, vault).run()]


@pytest.mark.parametrize("at_once", [1_000, 3])
def test_a_restored_store_holds_the_same(
    full: StoreClient,
    other: StoreClient,
    storage: LocalStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    monkeypatch.setattr(groups, "_MOST_AT_ONCE", at_once)
    monkeypatch.setattr(writing, "_CHUNK_BYTES", 10_000)
    odd_values(full)
    before = everything(full)
    made = save(full, storage, tmp_path / "b")
    assert (made.faults, made.gone, made.damaged, made.blobs) == ([], [], [], 5)
    assert everything(full) == before
    assert not list(full.scan_iter("*:copy:*"))
    restored = load(tmp_path / "b", other, storage)
    assert restored.keys == len(before)
    assert restored.missing == []
    assert everything(other) == before
    assert faults(other, storage) == []


def test_packages_come_along_where_they_are_asked_for(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    save(full, storage, tmp_path / "without")
    save(full, storage, tmp_path / "with", blobs=True)
    elsewhere = LocalStorage(tmp_path / "elsewhere")
    assert len(load(tmp_path / "without", other, elsewhere).missing) == 5
    assert len(faults(other, elsewhere)) == 5
    other.flushall()  # type: ignore[attr-defined]
    done = load(tmp_path / "with", other, elsewhere)
    assert (done.put, done.missing) == (5, [])
    assert faults(other, elsewhere) == []


def test_it_goes_from_a_single_server_into_a_cluster_and_back(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    before = everything(full)
    save(full, storage, tmp_path / "b")
    cluster = Cluster(tmp_path / "cluster")
    try:
        middle = connect(cluster.start().url, any_bytes=True)
        load(tmp_path / "b", middle, storage)
        assert everything(middle) == before
        assert faults(middle, storage) == []
        save(middle, storage, tmp_path / "c")
    finally:
        cluster.kill()
    load(tmp_path / "c", other, storage)
    assert everything(other) == before


def test_an_existing_file_and_a_store_with_data_are_left_alone(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    path = tmp_path / "b"
    path.write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        save(full, storage, path)
    assert path.read_text() == "mine"
    path.unlink()
    save(full, storage, path)
    assert path.stat().st_mode & 0o077 == 0
    other.sadd(f"{keys.ROOT}:{{users}}:all", "somebody")
    with pytest.raises(ConflictError, match="not empty"):
        load(path, other, storage)
    assert len(everything(other)) == 1


def test_keys_of_other_programs_neither_hinder_a_restore_nor_go(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    """ "Empty" means: of this server's keys."""
    save(full, storage, tmp_path / "b")
    other.hset("rq:job:1", mapping={"theirs": "1"})
    other.set("session:1", "theirs")
    load(tmp_path / "b", other, storage)
    assert everything(other) == everything(full)
    assert other.get("session:1") in {"theirs", b"theirs"}
    assert other.exists("rq:job:1")


def test_a_damaged_file_is_refused_wherever_the_damage_is(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    path = tmp_path / "b"
    save(full, storage, path, blobs=True)
    content = path.read_bytes()
    generator = random.Random(7)
    places = sorted({*generator.sample(range(len(content)), 150), 0, len(content) - 1})
    for at in places:
        damaged = bytearray(content)
        damaged[at] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(BackupFileError, match=r"damaged|cut off|not a backup"):
            load(path, other, storage)
    for size in [0, 1, 511, 512, *generator.sample(range(len(content)), 40)]:
        path.write_bytes(content[:size])
        if content[size:].strip(b"\0"):
            with pytest.raises(BackupFileError, match=r"cut off|damaged|not a backup"):
                load(path, other, storage)
    path.write_bytes(content + b"more")
    with pytest.raises(BackupFileError, match="not what was written"):
        load(path, other, storage)
    assert everything(other) == {}
    assert layout.restoring(other) is None


def test_two_backups_to_one_name_do_not_touch_each_other(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    path = tmp_path / "b"
    made = []

    def meanwhile(done: int, _all: int) -> None:
        if done == 1:
            made.append(save(full, storage, path))

    with pytest.raises(ConflictError, match="exists already"):
        make_backup(full, storage, system_clock, path, with_blobs=True, on_group=meanwhile)
    assert BackupFile(path).check().sha256 == made[0].sha256
    assert load(path, other, storage).missing == []
    assert [each.name for each in tmp_path.glob("b*")] == ["b"]


def test_nobody_else_reads_a_backup_whatever_was_there_before(
    full: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "b.partial").symlink_to(tmp_path / "elsewhere")
    save(full, storage, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_disk_without_links_gets_its_backup_too(
    full: StoreClient, storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    save(full, storage, tmp_path / "b")
    assert BackupFile(tmp_path / "b").check().groups > 0
    assert [each.name for each in tmp_path.glob("b*")] == ["b"]


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        (["rq:queue:default", "list", ["job"], None, None, True], "rq:queue:default"),
        ([f"{keys.ROOT}:{{a:x}}:copy:1", "string", ["x"], None, None, True], "copy"),
        ([f"{keys.ROOT}:{{a:x}}:app", "module", ["x"], None, None, True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "hash", ["x"], None, None, True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "hash", ["x", 1], None, None, True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "hash", {"x": "y"}, None, None, True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "zset", ["x", "y"], None, None, True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "stream", ["1-0", "y"], None, "x", True], "app"),
        ([f"{keys.ROOT}:{{a:x}}:app", "string", ["y"], "soon", None, True], "app"),
        ([1, "string", ["y"], None, None, True], "1"),
        ([f"{keys.ROOT}:{{a:x}}:app", "string"], "app"),
    ],
)
def test_what_no_server_keeps_is_not_restored(
    line: list[Any],
    culprit: str,
    full: StoreClient,
    other: StoreClient,
    storage: LocalStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = writing.BackupWriter.group

    def smuggle(self: writing.BackupWriter, tag: str, entries: Any) -> None:
        group(self, tag, entries)
        self._line(line)

    monkeypatch.setattr(writing.BackupWriter, "group", smuggle)
    save(full, storage, tmp_path / "b")
    with pytest.raises(BackupFileError, match=f"holds something that no backup does: .*{culprit}"):
        load(tmp_path / "b", other, storage)
    assert everything(other) == {}


def test_a_damaged_package_is_put_back_alone(
    full: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    save(full, storage, tmp_path / "b", blobs=True)
    before = everything(full)
    one, two, *_ = sorted(storage.list_blobs(), key=lambda blob: blob.key)
    with storage.open(one.key) as blob:
        content = blob.read()
    storage.delete(one.key)
    storage.put(one.key, io.BytesIO(content[:-1] + b"?"), size=one.size, content_type="a/b")
    storage.delete(two.key)
    assert len(faults(full, storage)) == 2
    file = BackupFile(tmp_path / "b")
    file.check()
    assert restore_blobs(storage, file) == 2
    assert faults(full, storage) == []
    assert restore_blobs(storage, file) == 0
    assert everything(full) == before


def test_files_of_other_programs_and_of_newer_servers_are_refused(
    full: StoreClient,
    other: StoreClient,
    storage: LocalStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"PK\3\4 something else")
    with pytest.raises(BackupFileError, match="not a backup made by codepush"):
        load(path, other, storage)
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    with pytest.raises(BackupFileError, match="not a backup made by codepush"):
        load(path, other, storage)
    with pytest.raises(BackupFileError, match="cannot be read"):
        load(tmp_path / "absent", other, storage)
    monkeypatch.setattr(writing, "FORMAT", 2)
    save(full, storage, tmp_path / "new")
    monkeypatch.setattr(writing, "FORMAT", 1)
    with pytest.raises(BackupFileError, match="written by a newer server"):
        load(tmp_path / "new", other, storage)
    full.hset(keys.LAYOUT, "version", str(layout.VERSION + 1))
    save(full, storage, tmp_path / "newer")
    with pytest.raises(BackupFileError, match="restore it with the newer server"):
        load(tmp_path / "newer", other, storage)


def test_an_interrupted_restore_keeps_servers_away_and_is_begun_again(
    full: StoreClient, other: StoreClient, storage: LocalStorage, tmp_path: Path
) -> None:
    before = everything(full)
    save(full, storage, tmp_path / "b")
    full.hset(keys.user("x"), "name", "X")  # type: ignore[arg-type]
    save(full, storage, tmp_path / "c")
    file = BackupFile(tmp_path / "b")
    head = file.check()

    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(other, storage, file, head, interrupt)
    assert layout.look(other) is layout.State.RESTORING
    with pytest.raises(ConflictError, match="another backup into this store did not finish"):
        load(tmp_path / "c", other, storage)
    load(tmp_path / "b", other, storage)
    assert layout.look(other) is layout.State.FIT
    assert everything(other) == before


def test_names_that_wander_while_a_backup_is_made_fit_in_it(
    api: ApiClient,
    source: StoreClient,
    other: StoreClient,
    storage: LocalStorage,
    tmp_path: Path,
) -> None:
    """Renames, new and deleted apps and deployments, without a pause: the copy is sound."""
    for number in range(12):
        api.add_app(f"App{number}")
    stopped = threading.Event()
    failures: list[Exception] = []

    def wander() -> None:
        generator = random.Random(3)
        step = 0
        try:
            while not stopped.is_set():
                step += 1
                one, two = generator.sample(range(12), 2)
                api.call("PATCH", f"/apps/App{one}", {"name": "Aside"}, expect=200)
                api.call("PATCH", f"/apps/App{two}", {"name": f"App{one}"}, expect=200)
                api.call("PATCH", "/apps/Aside", {"name": f"App{two}"}, expect=200)
                path = f"/apps/App{one}/deployments"
                api.call("POST", path, {"name": f"D{step}"}, expect=201)
                api.call("DELETE", f"{path}/D{step}", expect=204)
                api.call("POST", "/accessKeys", {"friendlyName": f"key {step}"}, expect=201)
                api.add_app(f"New{step}")
                if step % 3:
                    api.call("DELETE", f"/apps/New{step}", expect=204)
        except Exception as exc:  # noqa: BLE001 - told below
            failures.append(exc)

    thread = threading.Thread(target=wander)
    thread.start()
    try:
        for attempt in range(5):
            path = tmp_path / str(attempt)
            assert save(source, storage, path).faults == []
            other.flushall()  # type: ignore[attr-defined]
            load(path, other, storage)
            assert faults(other, storage) == []
            names = {
                name
                for each in other.scan_iter(f"{keys.ROOT}:{{a:*}}:app")
                if (name := other.hget(each, "name")) and name.startswith("App")
            }
            assert len(names) in {11, 12}
    finally:
        stopped.set()
        thread.join()
    assert failures == []


# What verify finds, and what repair mends.


def test_lost_names_and_indexes_are_found_and_mended(
    full: StoreClient, storage: LocalStorage, account: Account
) -> None:
    before = everything(full)
    claims = [key for key in before if key.endswith((":email", ":deployment-key", ":app-names"))]
    indexes = [key for key in before if key.endswith((":apps", ":all"))]
    indexes += [key for key in before if ":{u:" in key and key.endswith(":organizations")]
    for key in (*claims, *indexes):
        full.delete(key)
    found = faults(full, storage)
    assert len(found) == 1 + 4 + 2 + 2 + 1 + 1
    assert f"The list of users lacks {account.email}." in found
    told: list[str] = []
    assert mend(full, system_clock, on_mended=told.append) == len(found)
    assert sorted(told) == sorted(found)
    assert faults(full, storage) == []
    after = everything(full)
    assert after.keys() == before.keys()
    assert {key: after[key] for key in indexes} == {key: before[key] for key in indexes}
    assert mend(full, system_clock) == 0


def test_a_name_that_another_record_holds_stays_there(
    full: StoreClient, storage: LocalStorage, api: ApiClient
) -> None:
    (names,) = full.scan_iter(f"{keys.ROOT}:*:app-names")
    other = full.hget(names, "other")
    assert other
    full.hset(names, "app", other)
    assert faults(full, storage) == ["The name of app 'App' is not its own."]
    assert mend(full, system_clock) == 0
    assert full.hget(names, "app") == other


def test_damage_to_records_is_told(full: StoreClient, storage: LocalStorage) -> None:
    (releases,) = [
        k for k in full.scan_iter(f"{keys.ROOT}:*:releases") if len(full.hgetall(k)) == 5
    ]
    deployment = releases.removesuffix(":releases")
    (others,) = set(full.scan_iter(f"{keys.ROOT}:*:releases")) - {releases}
    full.hset(others, "9", "{")
    full.hset(deployment, "latest", "4")
    full.hset(f"{deployment}:counts", "v2|active", "41")
    full.hset(f"{keys.ROOT}:{{u:x}}:user", "name", "X")
    chain = f"{keys.ROOT}:{{o:x}}:audit"
    for number in (1, 2, 4):
        cast(Any, full).xadd(chain, {"e": "{}", "h": "0"}, id=f"{number}-0")
    found = "\n".join(faults(full, storage))
    for words in (
        f"'9' in the record {others} cannot be read",
        "takes 4 for the newest release of 'Staging'",
        "counts other active devices of 'Staging' than there are",
        "The record cp:1:{u:x}:user cannot be read: it lacks 'email'.",
        "The audit chain of organization x was changed at number 2.",
        "The audit chain of organization x lacks entries after number 2.",
        "The audit chain of organization x does not end where its head says.",
    ):
        assert words in found


def test_every_blob_is_read(full: StoreClient, storage: LocalStorage) -> None:
    one, two, three, *_ = sorted(storage.list_blobs(), key=lambda blob: blob.key)
    folder = storage._folder
    (folder / one.key).unlink()
    (folder / two.key).write_bytes((folder / two.key).read_bytes()[:-1])
    content = bytearray((folder / three.key).read_bytes())
    content[40] ^= 1
    (folder / three.key).write_bytes(content)
    found = "\n".join(faults(full, storage))
    assert f"The blob {one.key} of v" in found
    assert "is missing." in found
    assert f"has {two.size - 1} bytes in place of {two.size}." in found
    assert "has another SHA-256 than its name says." in found


def test_a_release_that_claims_another_package_hash_is_told(
    full: StoreClient, storage: LocalStorage
) -> None:
    (releases,) = [
        k for k in full.scan_iter(f"{keys.ROOT}:*:releases") if len(full.hgetall(k)) == 5
    ]
    record = json.loads(full.hget(releases, "3") or "")
    record["package_hash"] = "0" * 64
    full.hset(releases, "3", json.dumps(record))
    (fault,) = faults(full, storage)
    assert fault.endswith("has another package hash than the release says.")
