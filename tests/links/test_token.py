from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from mailwake.events.model import EventType
from mailwake.links.dictionary import BodyCompressor, BodyExpander, load_dictionary
from mailwake.links.keyring import Key, Keyring
from mailwake.links.token import (
    MAX_BODY_OCTETS,
    MAX_TOKEN_LENGTH,
    MIN_TOKEN_LENGTH,
    BadToken,
    ContextTooLong,
    LinkContext,
    LinkKind,
    TokenCodec,
    decode_body,
    message_id,
    pack_context,
)

SECRET = bytes(range(64))
TRANSMISSION = 55_000_000_000 << 22 | 17 << 14 | 3 << 7 | 5
SENT = 55_000_000 + 1_735_689_600
METADATA = (
    '{"user_id":"8213991","plan":"premium","segment":"lapsed-90d","order":"A-2026-118273","locale":"de-DE",'
    '"experiment":"subject-b","source":"crm-sync","store":"berlin-mitte","loyalty":"gold","ref":"x81z","seq":"7012"}'
)[:200]
TARGET = "https://www.example.com/shop/products/1234?utm_source=newsletter&utm_medium=email&utm_campaign=spring"


def codec(*key_ids: int) -> TokenCodec:
    ids = key_ids or (1,)
    return TokenCodec(Keyring.of([Key(key_id, hashlib.sha512(bytes([key_id])).digest()) for key_id in ids]))


def context(**changes: object) -> LinkContext:
    values: dict[str, object] = {
        "customer_id": "42",
        "transmission_id": TRANSMISSION,
        "message_id": message_id(TRANSMISSION, 1),
        "sent": SENT,
        "expires": 31_536_000,
        "recipient": "jane.doe@example.com",
        "campaign_id": "spring_sale_2026",
    }
    return LinkContext(**(values | changes))  # type: ignore[arg-type]


def click(**changes: object) -> str:
    return codec().encode(LinkKind.CLICK, pack_context(context(**changes)), TARGET, "banner").decode()


contexts = st.builds(
    lambda transmission, index, **rest: LinkContext(
        transmission_id=transmission, message_id=message_id(transmission, index), **rest
    ),
    st.integers(0, 2**63 - 1),
    st.integers(0, 0xFFFF),
    customer_id=st.text(max_size=30),
    sent=st.integers(0, 2**40),
    expires=st.integers(0, 2**40),
    recipient=st.text(max_size=300),
    campaign_id=st.text(max_size=64),
    tags=st.lists(st.text(max_size=20), max_size=10).map(tuple),
    metadata=st.text(max_size=200),
)


@given(contexts, st.sampled_from(LinkKind), st.text(max_size=1000), st.text(max_size=63))
def test_what_goes_in_comes_out(link_context: LinkContext, kind: LinkKind, target: str, name: str) -> None:
    token = codec().encode(kind, pack_context(link_context), target, name).decode()
    link = codec().decode(token, kind.family)
    assert (link.kind, link.context, link.target) == (kind, link_context, target)
    assert link.name == (name or ("Raw URL" if target else ""))
    assert decode_body(link.raw_body) == link


def test_the_same_link_twice_is_the_same_token() -> None:
    assert click() == click()


def test_a_token_is_safe_in_a_path() -> None:
    for number in range(200):
        token = click(recipient=f"{number}@example.com")
        assert token.replace("-", "").replace("_", "").isalnum()


def test_the_recipient_cannot_be_read_out_of_a_token() -> None:
    token = click()
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"jane" not in sealed
    assert b"example" not in sealed


def test_a_default_name_costs_nothing_and_comes_back() -> None:
    packed = pack_context(context())
    assert codec().encode(LinkKind.CLICK, packed, TARGET) == codec().encode(LinkKind.CLICK, packed, TARGET, "Raw URL")


@pytest.mark.parametrize(
    ("changes", "target", "longest"),
    [
        ({}, TARGET, 125),
        ({"tags": ("newsletter", "spring", "vip"), "metadata": METADATA}, TARGET, 255),
        ({}, (TARGET + "&redirect=" + hashlib.shake_256(b"x").hexdigest(100))[:300], 330),
    ],
    ids=["no metadata", "200 octets of metadata and 3 tags", "target of 300 octets"],
)
def test_tokens_are_short(changes: dict[str, object], target: str, longest: int) -> None:
    token = codec().encode(LinkKind.CLICK, pack_context(context(**changes)), target, "banner")
    assert len(token) <= longest


def test_expiry_is_kept_to_the_second() -> None:
    for life in (0, 1, 86_399, 86_400, 86_401, 31_536_000):
        assert codec().decode(click(expires=life), "f").context.expires == life
    assert codec().decode(click(expires=10), "f").expires_at == SENT + 10


def test_a_message_id_of_another_transmission_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        pack_context(context(message_id=message_id(TRANSMISSION + 1, 0)))


def test_a_context_that_fits_no_token_is_refused() -> None:
    with pytest.raises(ContextTooLong):
        pack_context(context(metadata="x" * MAX_BODY_OCTETS))


def test_the_largest_link_can_be_opened_again() -> None:
    target = "https://example.com/" + base64.b85encode(hashlib.shake_256(b"t").digest(3260)).decode()
    packed = pack_context(context(metadata=base64.b85encode(hashlib.shake_256(b"m").digest(16_000)).decode()))
    token = codec().encode(LinkKind.CLICK, packed, target[:4096], "n" * 63).decode()
    assert len(token) <= MAX_TOKEN_LENGTH
    assert codec().decode(token, "f").target == target[:4096]


def reason_of(token: str, family: str = "f", opener: TokenCodec | None = None) -> str:
    with pytest.raises(BadToken) as caught:
        (opener or codec()).decode(token, family)
    return caught.value.reason


@pytest.mark.parametrize("family", ["q", "o", "u", "", "ff", "é"])
def test_a_token_opens_only_under_its_own_family(family: str) -> None:
    assert reason_of(click(), family) == "forged"


def test_an_open_is_no_click_of_the_same_recipient() -> None:
    token = codec().encode(LinkKind.OPEN, pack_context(context())).decode()
    assert codec().decode(token, "q").kind is LinkKind.OPEN
    assert reason_of(token, "f") == "forged"


def test_an_unknown_key_says_so_that_the_keyring_can_be_read_again() -> None:
    token = codec(1, 2).encode(LinkKind.CLICK, pack_context(context()), TARGET).decode()
    opener = codec(1)
    assert reason_of(token, opener=opener) == "key"
    opener.use(Keyring.of([Key(n, hashlib.sha512(bytes([n])).digest()) for n in (1, 2)]))
    assert opener.decode(token, "f").target == TARGET


def test_links_of_old_keys_open_after_a_rotation() -> None:
    old = click()
    assert codec(1, 2).decode(old, "f").target == TARGET


def test_the_same_id_with_another_secret_opens_nothing() -> None:
    other = TokenCodec(Keyring.of([Key(1, SECRET)]))
    assert reason_of(click(), opener=other) == "forged"


@pytest.mark.parametrize("header", [0x00, 0x01, 0x20, 0x21, 0x12, 0x1F, 0xFF])
def test_an_unknown_version_or_dictionary_is_refused(header: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(click() + "=="))
    sealed[0] = header
    assert reason_of(base64.urlsafe_b64encode(bytes(sealed)).rstrip(b"=").decode()) == "version"


def test_every_truncation_is_refused() -> None:
    token = click()
    for length in range(len(token)):
        assert reason_of(token[:length]) in ("length", "encoding", "forged")


def test_every_flipped_bit_is_refused() -> None:
    token = click()
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        reason_of(base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())


def test_every_other_character_is_refused_so_a_link_has_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~%\n é\0"
    for length in range(3):  # all three lengths of the last group
        token = click(recipient="r" * (10 + length))
        for position in (0, 1, 5, len(token) // 2, len(token) - 2, len(token) - 1):
            for character in alphabet.replace(token[position], ""):
                reason_of(token[:position] + character + token[position + 1 :])


@pytest.mark.parametrize("addition", ["=", "==", "A", "AA", "AAA", "AAAA", "\n", " ", "/", "%3D"])
def test_anything_appended_is_refused(addition: str) -> None:
    reason_of(click() + addition)


@given(st.text(max_size=400) | st.text(alphabet="ABCabc019-_", min_size=MIN_TOKEN_LENGTH, max_size=400), st.text())
def test_chance_never_raises_anything_else(token: str, family: str) -> None:
    reason_of(token, family)


def test_lengths_out_of_bounds_are_refused_before_any_work() -> None:
    assert reason_of("A" * (MIN_TOKEN_LENGTH - 1)) == "length"
    assert reason_of("A" * (MAX_TOKEN_LENGTH + 1)) == "length"


def seal(content: bytes, header: int) -> str:
    # As somebody would who has the key but other software.
    head = bytes((header, 1))
    sealed = head + AESSIV(hashlib.sha512(b"\1").digest()).encrypt(content, [head + b"f"])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


@given(st.binary(min_size=1, max_size=200), st.sampled_from([0x10, 0x11]))
def test_sealed_nonsense_is_refused(content: bytes, header: int) -> None:
    assert reason_of(seal(bytes(8) + content, header)) == "body"


@pytest.mark.parametrize("kind", [0, 9, 127])
def test_an_unknown_kind_is_refused(kind: int) -> None:
    body = bytearray(codec().decode(click(), "f").raw_body)
    body[9] = kind
    assert reason_of(seal(bytes(body), 0x10)) == "body"


def test_a_later_release_may_append_fields() -> None:
    body = bytearray(codec().decode(click(), "f").raw_body)
    body[8] += 1  # one more element
    assert codec().decode(seal(bytes(body) + b"\xc3", 0x10), "f").target == TARGET


def test_a_decompression_bomb_is_bounded() -> None:
    dictionary = load_dictionary(1)
    block = BodyCompressor(dictionary).compress(b"\xa0" * 100_000)
    assert len(block) < 100
    assert reason_of(seal(bytes(8) + block, 0x11)) == "body"


@given(st.binary(max_size=3000))
def test_compression_loses_nothing(body: bytes) -> None:
    dictionary = load_dictionary(1)
    block = BodyCompressor(dictionary).compress(body)
    assert len(block) <= len(body)
    if block is not body:
        assert BodyExpander(dictionary, 4096).expand(block) == body


def test_the_dictionary_never_changes() -> None:
    # Tokens in mailboxes need it: make a new one with the next number instead.
    digest = hashlib.sha256(load_dictionary(1)).hexdigest()
    assert digest == "54b653a8793bb514623f430a60cf86467271f2babf10775e9d2bd4a0d6c3b2f6"


def test_a_token_of_the_first_release_opens_for_ever() -> None:
    link = codec().decode(GOLDEN, "f")
    assert (link.target, link.name, link.context) == (TARGET, "banner", context())


GOLDEN = (
    "EQG0DLZtkCFjRWAOHA5aC1Mpn6niaLCtwsnpsAA-vSBjixriElkPwro0t31VCwDll7KsfM-3q8q5jWoL"
    "gGhNBLw2ZSTjqSp7GhufMaaBMy3KJU3-APemWuI"
)


def test_kinds_are_the_types_of_events() -> None:
    for kind in LinkKind:
        assert EventType(kind).name == kind.name
