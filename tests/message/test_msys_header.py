import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.message.headers import unfold
from mailwake.message.msys_header import MsysHeader, read_msys_header
from mailwake.smtp.replies import Refusal, Reply

NOT_AN_OBJECT = "550 5.6.0 X-MSYS-API must be of type 'json object'"


def read(value: str | bytes) -> MsysHeader:
    header = read_msys_header([value if isinstance(value, bytes) else value.encode()])
    assert header is not None
    return header


def refusal(*values: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        read_msys_header(values)
    return str(caught.value.reply)


def test_no_header() -> None:
    assert read_msys_header([]) is None


def test_the_example_of_the_specification() -> None:
    value = (
        b' {"options" : {"open_tracking" : false, "click_tracking" : true},\r\n'
        b'   "metadata" : {"key" : "value"}, "tags" : ["cat", "dog"], "campaign_id" :\r\n'
        b'   "my_campaign"}\r\n'
    )
    assert read(value) == MsysHeader(
        open_tracking=False,
        click_tracking=True,
        campaign_id="my_campaign",
        metadata={"key": "value"},
        tags=["cat", "dog"],
    )


def test_an_empty_object_says_nothing() -> None:
    assert read("{}") == MsysHeader()
    assert read('{"options":{}}') == MsysHeader()


@pytest.mark.parametrize(
    ("folded", "unfolded"),
    [
        (b'"my_awes\r\n   ome_campaign"', b'"my_awes ome_campaign"'),
        (b"a\r\n\tb", b"a b"),
        (b"a\n \t b", b"a b"),
        (b"a \r\n b", b"a  b"),
        (b"a\r\n \r\n b", b"a  b"),
        (b"a\r b", b"a b"),
        (b"a\r\n", b"a "),
        (b"a  b\tc", b"a  b\tc"),
    ],
)
def test_each_line_break_with_the_white_space_after_it_is_one_space(folded: bytes, unfolded: bytes) -> None:
    assert unfold(folded) == unfolded


def test_senders_json_is_never_repaired() -> None:
    assert read(b'{"campaign_id" : "my_awes\r\n   ome_campaign" }').campaign_id == "my_awes ome_campaign"


@pytest.mark.parametrize(
    "value",
    [
        '{"campaign_id": "caf\\u00e9", "tags": ["caf\\u00e9"]}',
        '{"campaign_id": "café", "tags": ["café"]}',
        # inside a JSON string
        '{"campaign_id": "=?utf-8?Q?caf=C3=A9?=", "tags": ["=?utf-8?Q?caf=C3=A9?="]}',
        '{"campaign_id": "=?utf-8?Q?caf?=\r\n =?utf-8?Q?=C3=A9?=", "tags": ["=?iso-8859-1?Q?caf=E9?="]}',
        # around a fragment with its quotes
        '{"campaign_id": =?utf-8?Q?"caf=C3=A9"?=, "tags": [ =?utf-8?B?ImNhZsOpIg==?= ]}',
        '{"campaign_id": =?utf-8?Q?"caf=C3=A9"?=, "tags": ["=?utf-8?Q?caf=C3=A9?="]}',
        # around the whole value
        " =?utf-8?Q?=7B=22campaign=5Fid=22:=22caf=C3=A9=22,=22tags=22:_?=\r\n =?utf-8?Q?[=22caf=C3=A9=22]=7D?=",
        "=?utf-8?b?eyJjYW1wYWlnbl9pZCI6ImNhZsOpIiwidGFncyI6WyJjYWbDqSJdfQ==?=",
    ],
)
def test_the_forms_of_non_ascii_text_all_read_the_same(value: str) -> None:
    assert read(value) == MsysHeader(campaign_id="café", tags=["café"])


def test_encoded_words_in_metadata_are_decoded_at_every_depth() -> None:
    header = read('{"metadata": {"=?utf-8?Q?k=C3=A9?=": [{"a": "=?utf-8?Q?=C3=A9?="}, 1]}}')
    assert header.metadata == {"ké": [{"a": "é"}, 1]}


def test_encoded_words_are_decoded_once() -> None:
    inner = "=?utf-8?Q?a?="
    encoded = "=?utf-8?Q?" + inner.replace("=", "=3D").replace("?", "=3F") + "?="
    assert read(f'{{"campaign_id": "{encoded}"}}').campaign_id == inner
    assert read(f'{{"campaign_id": =?utf-8?Q?"x"?=, "tags": ["{encoded}"]}}').tags == [inner]


def test_a_word_in_an_unknown_charset_stays() -> None:
    assert read('{"campaign_id": "=?x-klingon?Q?a?="}').campaign_id == "=?x-klingon?Q?a?="


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"x",
        b"null",
        b"[]",
        b'"{}"',
        b"1",
        b"{",
        b'{"campaign_id": "caf\xe9"}',
        b'{"ignored": "\xff"}',
        b'{"a": NaN}',
        b'{"campaign_id": "\\ud800"}',
        b'{"campaign_id": "a\tb"}',
        b"[" * 65536,
        b'{"metadata":' * 5000,
        b"=?utf-8?Q?not_json?=",
        b"=?utf-8?Q?[]?=",
        b"=?utf-8?Q?caf=E9?= \xe9",
        b"=?utf-8?q?" * 6000,
    ],
)
def test_what_is_no_json_object(value: bytes) -> None:
    assert refusal(value) == NOT_AN_OBJECT


def test_a_second_header_rejects_the_message() -> None:
    assert refusal(b"{}", b"{}") == NOT_AN_OBJECT


@pytest.mark.parametrize(
    ("value", "field", "wanted"),
    [
        ('{"metadata": "x"}', "metadata", "json object"),
        ('{"metadata": []}', "metadata", "json object"),
        ('{"metadata": null}', "metadata", "json object"),
        ('{"tags": "cat"}', "tags", "json array"),
        ('{"tags": {}}', "tags", "json array"),
        ('{"tags": ["cat", 1]}', "tags", "json array"),
        ('{"campaign_id": 5}', "campaign_id", "string"),
        ('{"campaign_id": true}', "campaign_id", "string"),
        ('{"campaign_id": null}', "campaign_id", "string"),
        ('{"options": []}', "options", "json object"),
        ('{"options": true}', "options", "json object"),
        ('{"options": {"open_tracking": 1}}', "options.open_tracking", "boolean"),
        ('{"options": {"open_tracking": "true"}}', "options.open_tracking", "boolean"),
        ('{"options": {"click_tracking": null}}', "options.click_tracking", "boolean"),
    ],
)
def test_wrong_types_are_refused_by_name(value: str, field: str, wanted: str) -> None:
    assert refusal(value.encode()) == f"550 5.6.0 X-MSYS-API '{field}' must be of type '{wanted}'"


def test_unknown_fields_are_ignored() -> None:
    assert read('{"customer_id": 1, "tracking_domain": "evil", "options": {"x": 1}, "campaign_id": "a"}') == MsysHeader(
        campaign_id="a"
    )


def test_of_a_field_that_stands_there_twice_the_last_counts() -> None:
    assert read('{"campaign_id": 1, "campaign_id": "b"}').campaign_id == "b"


@pytest.mark.parametrize(
    ("campaign", "fits"),
    [
        ("a" * 64, True),
        ("a" * 65, False),
        ("é" * 32, True),
        ("é" * 32 + "a", False),
        ("😀" * 16, True),
        ("😀" * 17, False),
    ],
)
def test_a_campaign_has_at_most_64_bytes_of_utf8(campaign: str, *, fits: bool) -> None:
    value = json.dumps({"campaign_id": campaign}).encode()
    if fits:
        assert read(value).campaign_id == campaign
    else:
        assert refusal(value) == "550 5.6.0 smtpapi_campaign_id context is limited to 64 bytes"


def test_the_limit_counts_what_is_decoded() -> None:
    word = "=?utf-8?Q?" + "=61" * 64 + "?="
    assert read(f'{{"campaign_id": "{word}"}}').campaign_id == "a" * 64


def outcome(value: bytes) -> object:
    try:
        return read_msys_header([value])
    except Refusal as refused:
        return refused.reply


def is_header_or_refusal(found: object) -> bool:
    return isinstance(found, MsysHeader) or (isinstance(found, Reply) and str(found).startswith("550 5.6.0 "))


@given(st.binary(max_size=200) | st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(str.encode))
def test_any_octets_give_a_header_or_a_refusal(value: bytes) -> None:
    assert is_header_or_refusal(outcome(value))


@given(
    st.dictionaries(
        st.sampled_from(["campaign_id", "tags", "options", "metadata", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=70),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_any_json_object_gives_a_header_or_a_refusal(value: dict[str, object], escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert is_header_or_refusal(outcome(text.encode("utf-8", "surrogatepass")))
