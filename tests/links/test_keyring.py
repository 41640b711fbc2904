from __future__ import annotations

import base64

import pytest

from mailwake.links.keyring import Key, Keyring, KeyringError, decode_secret

SECRET = bytes(range(64))


def random_bytes(count: int) -> bytes:
    return b"\x07" * count


def test_a_new_keyring_has_one_key_that_seals() -> None:
    keyring = Keyring.new(random_bytes, 1_700_000_000)
    assert keyring.current == 1
    assert keyring.keys[1] == Key(1, b"\x07" * 64, 1_700_000_000)


def test_rotation_keeps_the_old_keys_and_changes_nothing_in_place() -> None:
    before = Keyring.of([Key(1, SECRET), Key(5, SECRET)], current=1)
    after = before.rotated(random_bytes, 9)
    assert set(before.keys) == {1, 5}
    assert after.current == 6
    assert after.keys[6] == Key(6, b"\x07" * 64, 9)
    assert after.keys[1] is before.keys[1]


def test_rotation_reuses_low_ids_after_255_and_ends_when_all_are_taken() -> None:
    keyring = Keyring.of([Key(255, SECRET)])
    for expected in (1, 2):
        keyring = keyring.rotated(random_bytes, 0)
        assert keyring.current == expected
    full = Keyring.of([Key(key_id, SECRET) for key_id in range(1, 256)])
    with pytest.raises(KeyringError, match="all 255"):
        full.rotated(random_bytes, 0)


@pytest.mark.parametrize("key_id", [-1, 0, 256])
def test_ids_outside_of_an_octet_are_refused(key_id: int) -> None:
    with pytest.raises(KeyringError, match="from 1 to 255"):
        Key(key_id, SECRET)


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_secrets_of_another_length_are_refused_with_the_way_to_make_one(length: int) -> None:
    with pytest.raises(KeyringError, match="openssl rand -base64 64"):
        Key(1, bytes(length))


def test_contradictions_are_refused() -> None:
    with pytest.raises(KeyringError, match="no key of that id"):
        Keyring.of([Key(1, SECRET)], current=2)
    with pytest.raises(KeyringError, match="same id"):
        Keyring.of([Key(1, SECRET), Key(1, random_bytes(64))])
    with pytest.raises(KeyringError, match="no key"):
        Keyring.of([])


def test_the_last_listed_key_seals_unless_another_is_named() -> None:
    keys = [Key(3, SECRET), Key(2, SECRET)]
    assert Keyring.of(keys).current == 2
    assert Keyring.of(keys, current=3).current == 3


def test_no_secret_shows_in_a_repr() -> None:
    key = Key(1, b"not to be seen".ljust(64))
    assert "seen" not in repr(key)
    assert "seen" not in repr(Keyring.of([key]))


def test_secrets_are_read_in_either_alphabet_with_or_without_padding() -> None:
    secret = b"\xfb\xff" * 32
    for text in (base64.b64encode(secret), base64.urlsafe_b64encode(secret), base64.b64encode(secret).rstrip(b"=")):
        assert decode_secret(1, f" {text.decode()}\n") == secret
    for text_of_no_secret in ("a b", "ü", "A"):
        with pytest.raises(KeyringError, match="not base64"):
            decode_secret(1, text_of_no_secret)
