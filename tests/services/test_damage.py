"""Each kind of key lost or damaged by hand: verify tells, repair makes anew what it can."""

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_package

from codepush.domain.ids import OrganizationId
from codepush.domain.models import Principal
from codepush.domain.permissions import Role
from codepush.services.backups import survey
from codepush.services.backups.backup import make_backup
from codepush.services.backups.locked import count_locked
from codepush.services.backups.mending import mend
from codepush.services.backups.reading import BackupFile
from codepush.services.backups.remedies import DERIVED, Finding
from codepush.services.backups.soundness import KINDS, kind_of
from codepush.services.backups.verification import Verification
from codepush.services.container import Services
from codepush.services.handing_on import HandingOn
from codepush.services.tenants import every_app
from codepush.services.vault import Vault
from codepush.services.webhooks import WebhookChanges
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.connection import connect, connect_queue
from plugins.storage_local import LocalStorage
from tests.api_client import ApiClient, make_zip
from tests.conftest import FakeClock
from tests.services.line import Line, tree

TYPES = {"str": "string", "strm": "stream"}
NO_KIND = {
    "TAG:copy:*": "a backup's own, for an hour",
    "quota:*": "requests of the current window",
    "rq:*": "RQ's own",
    "h:health": "written to find out whether that works",
    "cp:{layout}": "set anew by whatever looks first; see tests/store/test_layout.py",
    "jobs:unreferenced": "begun anew by the next collection of packages, which waits from then",
    "jobs:deliver": "one more job is enqueued",
    "jobs:clock": "it is noted anew within seconds",
    "jobs:tick:*": "housekeeping is done once more",
}
PASSES = "it goes by itself, and is a limit or a short memory"
MEANS_NOTHING = {
    "o:invitations": "one that was used or taken back leaves its index until it expires, too",
    "a:binaries": "an app need not have any, and diffs outlive them",
    "a:d:*:series": "changes leave after SERIES_DAYS, while counts stay",
    "a:d:*:failures": "devices need not say why they failed",
    "a:once:*": PASSES,
    "e:attempts": PASSES,
    "e:attempts:*": PASSES,
    "e:known-networks": PASSES,
    "q:attempts": PASSES,
    "users:welcomed": "a server that never started lacks it, and makes one more token at most",
    "jobs:outcomes": "a count of what was done",
    "jobs:counts": "a count of what was done",
}
"""Kinds of keys that may be absent from a sound store that is like this one in all others."""


def documented() -> dict[str, str]:
    """Return the kinds of keys in the table of ``store/keys.py``, and their types."""
    found = {}
    for row in re.findall(
        r"^``(\S+)`` +(hash|set|zset|str|strm|\.\.\.) ", keys.__doc__ or "", re.MULTILINE
    ):
        name, kind = row
        name = re.sub(r"^\{(?:(\w):)?(\w+)\}:", lambda m: f"{m[1] or m[2]}:", name)
        name = re.sub(r":[A-Z]+(?=:|$)", ":*", name).replace("*:*", "*")
        name = re.sub(r"^(quota|rq):.*", r"\1:*", name)
        found[name] = TYPES.get(kind, kind)
    return found


def test_every_documented_key_is_of_a_known_kind_and_type() -> None:
    named = documented()
    assert {kind: named[kind] for kind in named if kind not in NO_KIND} == {
        kind: what.type for kind, what in KINDS.items()
    }
    assert NO_KIND.keys() <= named.keys()
    assert MEANS_NOTHING.keys() <= KINDS.keys()
    assert KINDS.keys() >= DERIVED


@dataclass
class Whole:
    """A store with some of everything, and its raw client."""

    raw: Any
    client: Any
    services: Services
    storage: LocalStorage
    vault: Vault
    clock: FakeClock

    def verify(self) -> list[Finding]:
        return Verification(self.client, self.storage, self.clock, self.vault).run()

    def mend(self) -> None:
        mend(self.client, self.clock)
        self.services.repair.run()
        for app in every_app(self.services.stores):
            for deployment_id in app.deployments.values():
                for label in ("v1", "v2"):
                    self.services.packaging.prepare(app.id, deployment_id, label)

    def keep_house(self) -> None:
        """Do what workers do now and then, also to what was without use for months."""
        self.services.audit.keep_up_all()
        self.services.metrics.expire_all()
        self.services.repair.run()
        self.services.webhook_upkeep.keep_all()
        for _ in range(2):
            self.services.collection.run()
            self.clock.advance(30 * 86_400)

    @property
    def organization_id(self) -> OrganizationId:
        found = self.services.stores.organizations.find("Acme")
        assert found
        return found.id

    def each_key(self) -> Iterator[tuple[str, str, Any]]:
        """Yield each key with its kind, and put it back as it was after each."""
        for key in sorted(self.client.scan_iter(f"{keys.ROOT}:*")):
            place = keys.place(key)
            if place is None or kind_of(place) not in KINDS:
                continue
            dump = self.raw.dump(key)
            lifetime = max(0, self.raw.pttl(key))
            before = {each: self.raw.dump(each) for each in self.raw.scan_iter(match="cp:*")}
            yield key, kind_of(place), dump
            for each in self.raw.scan_iter(match="cp:*"):
                if each not in before:
                    self.raw.delete(each)
            for each, content in before.items():
                if each != key.encode() and self.raw.dump(each) != content:
                    left = max(0, self.raw.pttl(each))
                    self.raw.delete(each)
                    self.raw.restore(each, left, content)
            self.raw.delete(key)
            self.raw.restore(key, lifetime, dump)


@pytest.fixture
def whole(
    services: Services,
    principal: Principal,
    staging: Line,
    api: ApiClient,
    redis_url: str,
    tmp_path: Path,
    settings: Settings,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Whole:
    monkeypatch.setattr(survey, "_PAUSE_S", 0.0)
    bob = services.accounts.create_user("bob@example.com", organization="Acme")
    owner = services.tokens.authenticate(bob.token)
    services.apps.create(owner, "App", os="ios")
    line = Line(services, owner)
    line.prepared(2)
    staging.prepared(1)
    services.binaries.add(owner, line.app, io.BytesIO(make_zip(tree("binary"))), "1.0.0")
    services.ownership.add_collaborator(owner, "App", "alice@example.com")
    services.invitations.invite(owner, "Acme", "carl@example.com", Role.DEVELOPER)
    shown, _ = services.webhooks.create(owner, WebhookChanges(url="https://example.com/hook"))
    services.webhook_deliveries.ping(owner, shown.webhook.id)
    services.apps.create(owner, "Later")
    HandingOn(services.stores, clock).keep_up(owner.organization_id)
    for device in range(4):
        told = "Failed" if device == 3 else "Succeeded"
        fields = {"label": f"v{1 + device % 2}", "app_version": "1.0.0"}
        key = line.deployment.key
        fields |= {"status": f"Deployment{told}", "client_unique_id": f"{device}"}
        api.report("deploy", key, **fields)
    services.audit.keep_up_all()
    clock.advance(7_200)
    return Whole(
        connect_queue(redis_url)
        if not redis_url.startswith("redis+cluster")
        else redis_package.RedisCluster.from_url(
            redis_url.replace("+cluster", "").partition(",")[0]
        ),
        connect(redis_url, any_bytes=True),
        services,
        LocalStorage(tmp_path / "var" / "blobs"),
        Vault(settings.secret_keys),
        clock,
    )


@pytest.mark.timeout(600)
def test_what_is_lost_is_told_and_made_anew_where_it_can_be(whole: Whole) -> None:
    assert whole.verify() == []
    seen = set()
    for key, kind, _dump in whole.each_key():
        seen.add(kind)
        whole.raw.delete(key)
        found = whole.verify()
        if kind in MEANS_NOTHING:
            assert found == [], key
            continue
        is_alone = kind == "u:user" and ":user" in key
        assert found or is_alone, f"nobody noticed that {key} is lost"
        told = "\n".join(f"{each.what} {each.remedy}" for each in found)
        assert ("codepush repair" in told) == (kind in DERIVED or kind == "o:members"), told
        whole.mend()
        left = whole.verify()
        is_personal = kind == "o:members" and whole.organization_id not in key
        if kind in DERIVED or is_personal:
            assert left == [], f"repair did not mend {key}"
            assert whole.client.type(key) == KINDS[kind].type
        else:
            assert left, f"{key} was thought to be lost for good"
    assert KINDS.keys() - seen <= MEANS_NOTHING.keys()
    assert whole.verify() == []


def test_a_claim_of_somebody_who_never_came_to_be_is_taken_over(whole: Whole) -> None:
    """As where a master lost the last words of a handing over when it failed."""
    tried = set()
    for key, kind, _dump in whole.each_key():
        if kind not in {"e:email", "n:organization-name", "k:deployment-key", "o:app-names"}:
            continue
        tried.add(kind)
        for nobody in ("A" * 22, f"{'A' * 22}/{'B' * 22}"):
            for field in whole.raw.hkeys(key):
                whole.raw.hset(key, field, f"{nobody}|1")
            assert whole.verify() != [], key
            whole.mend()
            assert whole.verify() == [], key
    assert len(tried) == 4


@pytest.mark.timeout(600)
def test_keys_of_another_type_are_told_and_backed_up(whole: Whole, tmp_path: Path) -> None:
    for number, (key, kind, _dump) in enumerate(whole.each_key()):
        whole.raw.delete(key)
        if KINDS[kind].type == "string":
            whole.raw.hset(key, "a", "b")
        else:
            whole.raw.set(key, "x")
        told = [each.what for each in whole.verify()]
        assert any(what.startswith(f"The record {key} is a ") for what in told), told
        assert len(told) <= 3, told
        mend(whole.client, whole.clock)
        count_locked(whole.client, whole.vault)
        path = tmp_path / f"b{number}"
        made = make_backup(whole.client, whole.storage, whole.clock, path, with_blobs=False)
        assert any(key in need.what for need in made.faults)
        BackupFile(path).check()
        assert key in {entry.key for entry in BackupFile(path).entries()}
    assert whole.verify() == []


NUMBERS = re.compile(r"_ms$|^(label_seq|version|sequence|attempts|stage|seq|base|since)$|\|")
"""Fields that are numbers, in hashes; and those of counters."""
WORTHLESS = ("zzz", "", '{"a": 1}', "\ud800")


@pytest.mark.timeout(600)
def test_no_damage_to_a_field_makes_verify_or_backup_fail(whole: Whole, tmp_path: Path) -> None:
    tried = set()
    for key, kind, dump in whole.each_key():
        if whole.client.type(key) == "string":
            for text in WORTHLESS:
                whole.raw.set(key, text.encode("utf-8", "surrogatepass"))
                whole.verify()
        if whole.client.type(key) != "hash":
            continue
        for field in whole.raw.hkeys(key):
            place = re.sub(rb"[\w-]{16,}|\d+", b"*", field), kind
            if place in tried:
                continue
            tried.add(place)
            for text in (*WORTHLESS, None):
                if text is None:
                    whole.raw.hdel(key, field)
                else:
                    whole.raw.hset(key, field, text.encode("utf-8", "surrogatepass"))
                told = [each.what for each in whole.verify()]
                if text == "zzz" and NUMBERS.search(field.decode()) and kind != "o:audit-head":
                    assert any(key in what and "cannot be read" in what for what in told), field
                whole.raw.delete(key)
                whole.raw.restore(key, 0, dump)
        whole.raw.hset(key, field, "zzz")
        path = tmp_path / f"{len(tried)}"
        make_backup(whole.client, whole.storage, whole.clock, path, with_blobs=False)
        mend(whole.client, whole.clock)
        path.unlink()
    assert len(tried) > 70


@pytest.mark.timeout(600)
def test_no_damage_within_a_value_makes_verify_or_backup_fail(whole: Whole, tmp_path: Path) -> None:
    tried = set()
    for key, kind, dump in whole.each_key():
        if whole.client.type(key) != "hash" or kind in tried:
            continue
        for field, text in list(whole.client.hgetall(key).items()):
            if text[:1] not in {"{", "["}:
                continue
            tried.add(kind)
            for damaged in _damaged(json.loads(text)):
                whole.raw.hset(key, field, json.dumps(damaged))
                whole.verify()
            path = tmp_path / "b"
            make_backup(whole.client, whole.storage, whole.clock, path, with_blobs=False)
            path.unlink()
            mend(whole.client, whole.clock)
            whole.raw.delete(key)
            whole.raw.restore(key, 0, dump)
            if kind != "o:w:*":
                break
    assert {"a:d:*:releases", "a:packages", "a:binaries", "u:tokens", "o:invitations"} <= tried


@pytest.mark.timeout(600)
def test_one_damaged_record_neither_stops_housekeeping_nor_costs_packages(
    whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    for blob in whole.storage.list_blobs():
        os.utime(whole.storage._folder / blob.key, (0, 0))
    whole.keep_house()  # what is without use anyway
    blobs = {blob.key for blob in whole.storage.list_blobs()}
    assert len(blobs) > 6
    assert not caplog.messages
    tried = set()
    for key, kind, dump in whole.each_key():
        if whole.client.type(key) != "hash" or kind in tried:
            continue
        tried.add(kind)
        for field in whole.raw.hkeys(key):
            whole.raw.hset(key, field, "zzz")
            whole.keep_house()
            assert {blob.key for blob in whole.storage.list_blobs()} == blobs, (key, field)
            whole.raw.delete(key)
            whole.raw.restore(key, 0, dump)
    assert {"u:user", "o:organization", "a:app", "a:d:*", "a:d:*:releases", "o:w:*"} <= tried
    said = " ".join(caplog.messages)
    for name in (":app", ":releases", ":packages", ":binaries", ":w:"):
        assert re.search(rf"left out until it is mended: The record cp:1:{{\S*{name}", said), name


def _damaged(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each of its parts damaged."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in list(parts):
        for worthless in (None, [], {"a": 1}, "zzz", 7):
            copy = value.copy()
            copy[name] = worthless
            yield copy
        if isinstance(part, dict | list):
            for damaged in _damaged(part):
                copy = value.copy()
                copy[name] = damaged
                yield copy


def test_the_head_of_an_organization_that_had_many_apps_is_read_whole(whole: Whole) -> None:
    head = keys.audit_head(whole.organization_id)
    whole.raw.hset(head, mapping={f"app{number:0>60}": "1-0" for number in range(1_500)})
    assert whole.verify() == []
    whole.raw.delete(keys.audit(whole.organization_id))
    assert "does not end where its head says" in whole.verify()[0].what


def test_what_is_handed_on_after_a_lost_head_was_mended_is_new(whole: Whole) -> None:
    head = keys.webhook_head(whole.organization_id)
    before = whole.client.get(head)
    deliveries = set(whole.client.scan_iter("cp:*:w:*:d:*"))
    whole.client.delete(head)
    mend(whole.client, whole.clock)
    assert int(whole.client.get(head)) <= int(before)
    HandingOn(whole.services.stores, whole.clock).keep_up(whole.organization_id)
    assert set(whole.client.scan_iter("cp:*:w:*:d:*")) == deliveries
    assert int(whole.client.get(head)) >= int(before)
