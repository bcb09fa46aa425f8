"""Secrets at rest, and where their key comes from."""

import stat
import threading
from pathlib import Path

import pytest

from codepush.domain.errors import NotConfiguredError
from codepush.server.errors import ServerError
from codepush.server.secret_key import FILE, own_secret_key
from codepush.services.vault import LockedError, Vault
from codepush.settings import SettingsError, load_settings

OLD, NEW = "an old key that is long enough for it", "a new key that is long enough for it"


def test_what_was_encrypted_is_read_by_whoever_has_the_key_and_by_nobody_else() -> None:
    kept = Vault((OLD,)).encrypt("whsec_x")
    assert "whsec_x" not in kept
    assert Vault((OLD,)).decrypt(kept) == "whsec_x"
    for keys in ((NEW,), ()):
        with pytest.raises(LockedError, match="SECRET_KEY"):
            Vault(keys).decrypt(kept)


def test_a_key_is_replaced_by_putting_the_new_one_in_front() -> None:
    kept = Vault((OLD,)).encrypt("whsec_x")
    both = Vault((NEW, OLD))
    renewed = both.renewed(kept)
    assert Vault((NEW,)).decrypt(renewed) == "whsec_x"
    assert both.renewed(renewed) == renewed


def test_without_a_key_nothing_is_kept() -> None:
    with pytest.raises(NotConfiguredError, match="SECRET_KEY"):
        Vault(()).encrypt("whsec_x")


@pytest.mark.parametrize("keys", ["short", f"{NEW},short", f"{NEW},"])
def test_a_short_key_stops_the_start(keys: str) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY") as caught:
        load_settings({"SECRET_KEY": keys})
    assert NEW not in str(caught.value)


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "example.com", "10.0.0.0/33"])
def test_a_network_that_is_none_stops_the_start(networks: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_ALLOWED_NETWORKS"):
        load_settings({"WEBHOOK_ALLOWED_NETWORKS": networks})


def test_the_servers_own_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(own_secret_key(tmp_path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert load_settings({"SECRET_KEY": found[0]}).secret_keys == (found[0],)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("x", "ascii")
    with pytest.raises(ServerError, match="backup"):
        own_secret_key(tmp_path)
    assert (tmp_path / FILE).read_text("ascii") == "x"
