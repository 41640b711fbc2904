import pytest

from mailwake.message.encoded_words import decode_words


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?caf=C3=A9?=", "café"),
        ("=?UTF-8?q?a_b=5F?=", "a b_"),
        ("=?utf-8?B?Y2Fmw6k=?=", "café"),
        ("=?utf-8?b?Y2Fmw6k?=", "café"),
        ("=?iso-8859-1?Q?caf=E9?=", "café"),
        ("=?ISO-8859-1*en?Q?caf=e9?=", "café"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("a =?utf-8?Q?b?= c", "a b c"),
        ("=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a_?=\r\n\t=?utf-8?Q?b?=", "a b"),
        ("=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b"),
        ("=?utf-8?Q?a?= =?iso-8859-1?Q?=E9?=", "aé"),
        # A character cut in two by the sender: RFC 2047 §5 forbids it, and it is common.
        ("=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
        ("=?utf-8?Q??=", ""),
        ("=?utf-8?Q?with space?=", "with space"),
    ],
)
def test_words(text: str, decoded: str) -> None:
    assert decode_words(text) == decoded


@pytest.mark.parametrize(
    "text",
    [
        "=?no-such-charset?Q?a?=",
        "=?utf-8?Q?=FF?=",
        "=?utf-8?B?a?=",
        "=?utf-8?B?Y2Fm*w6k=?=",
        "=?utf-8?X?a?=",
        "=?utf-8?Q?a?",
        "=?utf-8?Q?a",
        "=?",
        "=?utf-8?Q?é?=",
        "=?rot13?Q?nop?=",
        "=?zlib?B?eJwDAAAAAAE=?=",
        "=?punycode?Q?caf-dma?=",
        "=?unicode-escape?Q?=5Cud800?=",
        "=?utf-7?Q?+2AA-?=",
        "=?..?Q?a?=",
    ],
)
def test_what_is_no_word_or_cannot_be_decoded_stays(text: str) -> None:
    assert decode_words(text) == text


def test_the_search_for_charsets_is_a_closed_list() -> None:
    import encodings

    before = len(encodings._cache)  # where Python remembers failed searches for ever
    for number in range(100):
        decode_words(f"=?x-invented-{number}?Q?a?=")
    assert len(encodings._cache) == before
