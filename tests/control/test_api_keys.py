"""Keys of the API: what is stored of them, who sees them when, and what is said when the file fails."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.control.api_keys import KEY_OCTETS, PREFIX, ApiKey, ApiKeys, ApiKeysError, Scope


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(tmp_path: Path, clock: ManualClock) -> ApiKeys:
    return ApiKeys(tmp_path / "api-keys.sqlite3", clock)


def test_a_key_is_found_by_itself_only(keys: ApiKeys, clock: ManualClock) -> None:
    key = keys.create("shop", [Scope.READ, Scope.WEBHOOKS], customer="42")
    found = keys.find(key)
    assert found is not None
    assert found == ApiKey("shop", frozenset({Scope.READ, Scope.WEBHOOKS}), "42", int(clock.now()), None, None)
    for other in (key[:-1], key + "A", key.lower(), "shop", "", PREFIX, key.removeprefix(PREFIX), "\udcff\x00"):
        assert keys.find(other) is None


def test_no_key_is_stored_and_no_two_are_alike(keys: ApiKeys, tmp_path: Path) -> None:
    made = {keys.create(f"key {number}", [Scope.READ]) for number in range(20)}
    assert len(made) == 20
    assert all(len(key) == len(PREFIX) + (KEY_OCTETS * 4 + 2) // 3 for key in made)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"key 19" in stored
    assert not any(key.encode() in stored or key.removeprefix(PREFIX).encode() in stored for key in made)


def test_the_file_is_its_owners_alone(keys: ApiKeys, tmp_path: Path) -> None:
    keys.create("a", [Scope.READ])
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


def test_scopes() -> None:
    def key(*scopes: Scope) -> dict[Scope, bool]:
        made = ApiKey("a", frozenset(scopes), None, 0, None, None)
        return {scope: made.may(scope) for scope in Scope}

    assert key(Scope.READ) == {Scope.READ: True, Scope.WEBHOOKS: False, Scope.ADMIN: False}
    assert key(Scope.WEBHOOKS) == {Scope.READ: False, Scope.WEBHOOKS: True, Scope.ADMIN: False}
    assert all(key(Scope.ADMIN).values())


def test_it_expires_at_its_time(keys: ApiKeys, clock: ManualClock) -> None:
    key = keys.create("a", [Scope.READ], expires=int(clock.now()) + 60)
    clock.advance(59)
    assert keys.find(key)
    clock.advance(1)
    assert keys.find(key) is None
    assert [each.name for each in keys.list()] == ["a"]


def test_another_process_is_seen_at_once(keys: ApiKeys, tmp_path: Path, clock: ManualClock) -> None:
    service = ApiKeys(tmp_path / "api-keys.sqlite3", clock)
    assert service.list() == []
    assert service.find("mwk_none") is None
    key = keys.create("a", [Scope.READ])
    assert service.find(key)
    assert keys.revoke("a")
    assert service.find(key) is None
    assert not keys.revoke("a")


def test_a_name_is_used_once_until_it_is_revoked(keys: ApiKeys) -> None:
    first = keys.create("a", [Scope.READ])
    with pytest.raises(ApiKeysError, match="there is a key of this name"):
        keys.create("a", [Scope.ADMIN])
    keys.revoke("a")
    assert keys.create("a", [Scope.READ]) != first
    assert keys.find(first) is None


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "\x1b[1m", "x" * 101])
def test_a_name_is_one_that_can_be_shown(keys: ApiKeys, name: str) -> None:
    with pytest.raises(ApiKeysError, match="name is text on one line"):
        keys.create(name, [Scope.READ])


def test_the_hour_of_its_last_use_is_noted_with_one_write_an_hour(keys: ApiKeys, clock: ManualClock) -> None:
    key = keys.create("a", [Scope.READ])
    hour = int(clock.now()) // 3600 * 3600

    def use() -> int | None:
        found = keys.find(key)
        assert found is not None
        keys.note_use(found)
        return keys.list()[0].used

    assert use() == hour
    clock.advance(60)
    assert use() == hour
    clock.advance(3600)
    assert use() == hour + 3600


def test_many_at_once(keys: ApiKeys) -> None:
    def make(number: int) -> None:
        keys.find(keys.create(f"key {number}", [Scope.READ]))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(keys.list()) == 10


def test_a_directory_that_is_not_there(tmp_path: Path, clock: ManualClock) -> None:
    keys = ApiKeys(tmp_path / "none" / "api-keys.sqlite3", clock)
    for act in (keys.list, lambda: keys.find("a"), lambda: keys.revoke("a"), lambda: keys.create("a", [Scope.READ])):
        with pytest.raises(ApiKeysError, match="is no data directory; name the one"):
            act()


def test_a_file_that_is_none(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "api-keys.sqlite3"
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(ApiKeysError, match="file is not a database; see that there is room"):
        ApiKeys(path, clock).find("a")
