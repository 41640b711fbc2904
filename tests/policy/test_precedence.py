from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.config.load import load
from mailwake.config.scopes import ResolvedOptions, ScopedOptions
from mailwake.message.json_value import compact_json, read_json
from mailwake.message.msys_header import MsysHeader
from mailwake.policy.precedence import EngagementLimits, EngagementSettings, resolve, trim_metadata
from mailwake.smtp.replies import Refusal

HEADER = MsysHeader(
    open_tracking=True, click_tracking=True, campaign_id="header", metadata={"from": "header"}, tags=["header"]
)


def configured(**overrides: str) -> ResolvedOptions:
    return ScopedOptions(load(None, overrides)).resolve("127.0.0.1:2525", "127.0.0.1")


def settings(
    context: Mapping[str, str] | None = None,
    header: MsysHeader | None = None,
    options: ResolvedOptions | None = None,
    limits: EngagementLimits | None = None,
    known: Sequence[str] | None = None,
) -> EngagementSettings:
    def admit(tags: Sequence[str]) -> Sequence[str]:
        return tags if known is None else [tag for tag in tags if tag in known]

    return resolve(context or {}, header, options or configured(), limits or EngagementLimits(), admit)


def refusal(name: str, value: str) -> str:
    with pytest.raises(Refusal) as caught:
        settings({name: value}, HEADER)
    return str(caught.value.reply)


def test_nothing_given() -> None:
    chosen = settings()
    assert chosen.open_tracking == (False, "default")
    assert chosen.click_tracking == (False, "default")
    assert chosen.initial_open == (True, "default")
    assert chosen.open_scheme == chosen.click_scheme == ("http", "default")
    assert chosen.tracking_domain == ("localhost:8080", "default")
    assert chosen.link_expiry == (31_536_000, "default")
    assert chosen.campaign_id == chosen.customer_id == (None, "none")
    assert chosen.metadata == ({}, "none")
    assert chosen.tags == ((), "none")
    assert (chosen.metadata_text, chosen.metadata_trimmed) == ("", False)


def test_the_choice_is_made_for_each_setting_by_itself() -> None:
    context = {"smtpapi_campaign_id": "policy", "smtpapi_open_tracking": "0"}
    header = MsysHeader(open_tracking=True, click_tracking=True, campaign_id="header", tags=["cat"])
    chosen = settings(context, header, configured(tracking_domain="t.example.com"))
    assert chosen.campaign_id == ("policy", "context smtpapi_campaign_id")
    assert chosen.open_tracking == (False, "context smtpapi_open_tracking")
    assert chosen.click_tracking == (True, "X-MSYS-API options.click_tracking")
    assert chosen.tags == (("cat",), "X-MSYS-API tags")
    assert chosen.tracking_domain == ("t.example.com", "global, command line")
    assert chosen.metadata == ({}, "none")


# setting, variable and its text, what it means, what the header says, and the option with its text and meaning
TABLE = [
    ("open_tracking", "smtpapi_open_tracking", "0", False, True, "open_tracking_enabled", "true", True),
    ("click_tracking", "smtpapi_click_tracking", "0", False, True, "click_tracking_enabled", "true", True),
    ("open_scheme", "smtpapi_open_tracking_scheme", "https", "https", None, "open_tracking_scheme", "http", "http"),
    ("click_scheme", "smtpapi_click_tracking_scheme", "https", "https", None, "click_tracking_scheme", "http", "http"),
    ("tracking_domain", "smtpapi_tracking_domain", "a.example", "a.example", None, "tracking_domain", "b.c", "b.c"),
    ("link_expiry", "smtpapi_tracking_link_expiry", "60", 60, None, "tracking_link_expiry", "5d", 432000),
    ("campaign_id", "smtpapi_campaign_id", "policy", "policy", "header", None, None, None),
    ("metadata", "smtpapi_metadata", '{"a": 1}', {"a": 1}, {"from": "header"}, None, None, {}),
    ("tags", "smtpapi_tags", '["a"]', ("a",), ("header",), None, None, ()),
]


@pytest.mark.parametrize(("setting", "variable", "text", "meant", "header", "option", "given", "configured_as"), TABLE)
def test_the_order_of_the_sources(
    setting: str,
    variable: str,
    text: str,
    meant: object,
    header: object,
    option: str | None,
    given: str | None,
    configured_as: object,
) -> None:
    options = configured(**{option: given}) if option and given else configured()
    assert getattr(settings({variable: text}, HEADER, options), setting) == (meant, f"context {variable}")
    without_context = getattr(settings({}, HEADER, options), setting)
    if header is not None:
        assert without_context.value == header
        assert without_context.source.startswith("X-MSYS-API ")
    assert getattr(settings({}, None, options), setting).value == configured_as


@pytest.mark.parametrize("name", ["smtpapi_open_tracking", "smtpapi_click_tracking"])
@pytest.mark.parametrize(
    ("text", "meant"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("False", False)]
)
def test_boolean_variables(name: str, text: str, *, meant: bool) -> None:
    chosen = settings({name: text})
    assert getattr(chosen, name.removeprefix("smtpapi_")).value is meant


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("smtpapi_open_tracking", ("", "yes", "2", " 1"), "boolean"),
        ("smtpapi_click_tracking", ("", "on"), "boolean"),
        ("smtpapi_metadata", ("", "x", "[]", "null", '{"a":NaN}', "\udcff"), "json object"),
        ("smtpapi_tags", ("", "cat", "{}", '"cat"', "[1]"), "json array"),
        ("smtpapi_open_tracking_scheme", ("", "ftp", "javascript"), "http or https"),
        ("smtpapi_click_tracking_scheme", ("https:",), "http or https"),
        ("smtpapi_tracking_domain", ("", "a/b", "a b", "u@h", "a:0", "a:99999", "http://a"), "host[:port]"),
        ("smtpapi_tracking_link_expiry", ("", "-1", "1.5", "5d", "x", "99999999999", "١"), "integer"),
        ("smtpapi_campaign_id", ("\udcff",), "string"),
    ],
)
def test_variables_that_cannot_be_read_reject_the_message(name: str, values: Sequence[str], wanted: str) -> None:
    for value in values:
        assert refusal(name, value) == f"550 5.6.0 {name} context must be of type '{wanted}'"


@pytest.mark.parametrize("campaign", ["a" * 65, "é" * 33])
def test_a_long_campaign_rejects_the_message(campaign: str) -> None:
    assert refusal("smtpapi_campaign_id", campaign) == "550 5.6.0 smtpapi_campaign_id context is limited to 64 bytes"


def test_a_campaign_of_64_bytes_is_taken() -> None:
    assert settings({"smtpapi_campaign_id": "é" * 32}).campaign_id.value == "é" * 32


def test_policy_can_take_the_campaign_away() -> None:
    assert settings({"smtpapi_campaign_id": ""}, HEADER).campaign_id == (None, "context smtpapi_campaign_id")


def test_the_customer_comes_from_the_context_alone() -> None:
    assert settings({"mo_customer_id": "42"}, HEADER).customer_id == ("42", "context mo_customer_id")


def test_ten_tags_travel() -> None:
    tags = [f"t{number}" for number in range(13)]
    chosen = settings(header=MsysHeader(tags=[*tags[:5], *tags]))
    assert chosen.tags.value == tuple(tags[:10])
    assert (chosen.tags_over_recipient_limit, chosen.tags_unknown) == (3, 0)


def test_tags_that_the_system_does_not_admit_stay_out() -> None:
    chosen = settings(header=MsysHeader(tags=["a", "b", "c"]), known=["c", "a"])
    assert chosen.tags.value == ("a", "c")
    assert chosen.tags_unknown == 1


def test_tags_over_the_recipients_limit_never_enter_the_systems_set() -> None:
    asked: list[str] = []

    def admit(tags: Sequence[str]) -> Sequence[str]:
        asked.extend(tags)
        return tags

    header = MsysHeader(tags=["a", "b", "c"])
    resolve({}, header, configured(), EngagementLimits(max_tags_per_recipient=2), admit)
    assert asked == ["a", "b"]


def test_policy_sees_all_metadata_and_links_carry_the_beginning() -> None:
    metadata = {"a": "x" * 150, "b": "y" * 150, "c": 1}
    chosen = settings(header=MsysHeader(metadata=metadata))
    assert chosen.metadata.value == metadata
    assert chosen.metadata_text == '{"a":"' + "x" * 150 + '"}'
    assert chosen.metadata_trimmed is True


@pytest.mark.parametrize(
    ("metadata", "limit", "text", "trimmed"),
    [
        ({}, 200, "", False),
        ({"a": 1}, 7, '{"a":1}', False),
        ({"a": 1}, 6, "", True),
        ({"a": 1, "b": 2}, 13, '{"a":1,"b":2}', False),
        ({"a": 1, "b": 2}, 12, '{"a":1}', True),
        ({"a": 1, "b": "long", "c": 3}, 13, '{"a":1}', True),
        ({"é": "é"}, 11, '{"é":"é"}', False),
        ({"é": "é"}, 10, "", True),
        ({"a": {"b": [1, None]}}, 200, '{"a":{"b":[1,null]}}', False),
        ({"a": 1}, 0, "", True),
    ],
)
def test_pairs_are_kept_whole(metadata: dict[str, object], limit: int, text: str, *, trimmed: bool) -> None:
    assert trim_metadata(metadata, limit) == (text, trimmed)


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(-99, 9999)),
    st.integers(0, 60),
)
def test_as_many_pairs_as_fit(metadata: dict[str, int], limit: int) -> None:
    text, trimmed = trim_metadata(metadata, limit)
    kept = read_json(text.encode()) if text else {}
    assert list(kept.items()) == list(metadata.items())[: len(kept)]
    assert len(text.encode()) <= limit or not text
    assert trimmed == (len(kept) < len(metadata))
    if trimmed:
        longer = dict(list(metadata.items())[: len(kept) + 1])
        assert len(compact_json(longer)) > limit


def test_the_result_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        settings().metadata_text = "x"  # type: ignore[misc]


def test_a_tag_that_is_absurdly_long_is_ignored_like_one_over_the_limit() -> None:
    chosen = settings(header=MsysHeader(tags=["a" * 255, "b" * 256, "c"]))
    assert chosen.tags.value == ("a" * 255, "c")
    assert chosen.tags_over_recipient_limit == 1
