"""The examples and tables of Momentum's two pages on engagement tracking for SMTP, a row each.

The pages are "Using Policy for Engagement Tracking" and "Using the X-MSYS-API Header for Engagement Tracking" of
Momentum 4. Each row is put through every phase that the service has; a value is what a copy's settings say.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mailwake.config.load import Configuration, load
from mailwake.events.unique_ids import UniqueIdError
from mailwake.flows.message_flow import NO_UNIQUE_ID
from mailwake.service.rehearsal import Client, Rehearsed, rehearse
from mailwake.smtp.replies import Refusal

BODY = 'Content-Type: text/html\r\n\r\n<a href="https://www.example.com/">x</a>\r\n'
LUA = """
require("msys.core");
local mod = {};
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:context_set(msys.core.ECMESS_CTX_MESS, "%s", "%s");
  return msys.core.VALIDATE_CONT;
end
msys.registerModule("mypolicy", mod);
"""


def rehearsed(
    header: str = "", context: dict[str, str] | None = None, configuration: Configuration | None = None
) -> Rehearsed:
    message = (f"X-MSYS-API: {header}\r\n" if header else "") + BODY
    client = Client(sender="a@b.example", recipient="r@c.example", context=context or {})
    return asyncio.run(rehearse(configuration or load(None, host_name="localhost"), message.encode(), client))


def setting(found: Rehearsed, name: str) -> Any:
    return getattr(found.message.copy_plans[0].settings, name).value


VARIABLES = [
    ("smtpapi_campaign_id", "black friday", "campaign_id", "black friday"),
    *(("smtpapi_click_tracking", text, "click_tracking", value) for text, value in (("1", True), ("true", True))),
    *(("smtpapi_click_tracking", text, "click_tracking", value) for text, value in (("0", False), ("false", False))),
    ("smtpapi_click_tracking_scheme", "https", "click_scheme", "https"),
    ("smtpapi_metadata", '{"key" : "value"}', "metadata", {"key": "value"}),
    *(("smtpapi_open_tracking", text, "open_tracking", value) for text, value in (("1", True), ("true", True))),
    *(("smtpapi_open_tracking", text, "open_tracking", value) for text, value in (("0", False), ("false", False))),
    ("smtpapi_open_tracking_scheme", "https", "open_scheme", "https"),
    ("smtpapi_tags", '["cat", "dog"]', "tags", ("cat", "dog")),
    ("smtpapi_tracking_domain", "track.example.com", "tracking_domain", "track.example.com"),
    ("smtpapi_tracking_link_expiry", "86400", "link_expiry", 86400),
    ("mo_customer_id", "42", "customer_id", "42"),
]


@pytest.mark.parametrize(("variable", "text", "name", "value"), VARIABLES)
def test_context_variables(variable: str, text: str, name: str, value: object) -> None:
    assert setting(rehearsed(context={variable: text}), name) == value


@pytest.mark.parametrize(("variable", "text", "name", "value"), VARIABLES)
def test_lua_policy_sets_them(tmp_path: Path, variable: str, text: str, name: str, value: object) -> None:
    script = tmp_path / "policy.lua"
    script.write_text(LUA % (variable, text.replace('"', '\\"')))
    (tmp_path / "mailwake.toml").write_text(f'[[policy]]\nfile = "{script}"\n')
    assert setting(rehearsed(configuration=load(tmp_path / "mailwake.toml", host_name="localhost")), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "header", "name", "value"),
    [
        ("smtpapi_campaign_id", "policy", {"campaign_id": "header"}, "campaign_id", "policy"),
        ("smtpapi_click_tracking", "0", {"options": {"click_tracking": True}}, "click_tracking", False),
        ("smtpapi_open_tracking", "1", {"options": {"open_tracking": False}}, "open_tracking", True),
        ("smtpapi_metadata", '{"a":1}', {"metadata": {"b": 2}}, "metadata", {"a": 1}),
        ("smtpapi_tags", '["policy"]', {"tags": ["header"]}, "tags", ("policy",)),
    ],
)
def test_context_variables_take_precedence_over_the_header(
    variable: str, text: str, header: dict[str, Any], name: str, value: object
) -> None:
    assert setting(rehearsed(json.dumps(header), {variable: text}), name) == value


@pytest.mark.parametrize(
    ("field", "name", "value", "option"),
    [
        ({"options": {"click_tracking": False}}, "click_tracking", False, "click_tracking_enabled"),
        ({"options": {"open_tracking": False}}, "open_tracking", False, "open_tracking_enabled"),
    ],
)
def test_the_header_takes_precedence_over_the_configuration(
    field: dict[str, Any], name: str, value: object, option: str
) -> None:
    configuration = load(None, {option: "true"}, host_name="localhost")
    assert setting(rehearsed(configuration=configuration), name) is True
    assert setting(rehearsed(json.dumps(field), configuration=configuration), name) == value


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("click_tracking_scheme", "click_scheme"),
        ("open_tracking_scheme", "open_scheme"),
        ("tracking_domain", "tracking_domain"),
        ("tracking_link_expiry", "link_expiry"),
    ],
)
def test_there_is_no_header_fallback_for_these(field: str, name: str) -> None:
    for header in ({field: "https"}, {"options": {field: "https"}}, {"options": {f"smtpapi_{field}": "https"}}):
        assert setting(rehearsed(json.dumps(header)), name) == setting(rehearsed(), name)


EXAMPLE = (
    '{"options" : {"open_tracking" : false, "click_tracking" : true},\r\n'
    '   "metadata" : {"key" : "value"}, "tags" : ["cat", "dog"], "campaign_id" :\r\n   "my_campaign"}'
)


def test_the_folded_example() -> None:
    found = rehearsed(EXAMPLE)
    names = ("open_tracking", "click_tracking", "metadata", "tags", "campaign_id")
    assert [setting(found, name) for name in names] == [False, True, {"key": "value"}, ("cat", "dog"), "my_campaign"]


def test_a_fold_inside_a_string_becomes_one_space() -> None:
    header = '{"options" : {"open_tracking" : false }, "campaign_id" : "my_awes\r\n   ome_campaign" }'
    assert setting(rehearsed(header), "campaign_id") == "my_awes ome_campaign"


@pytest.mark.parametrize(
    "written",
    [
        "\\u00e7\\u00a7\\u0081\\u00e3\\u0081\\u00af\\u00e3\\u0082\\u00ac",
        "=?utf-8?b?" + "w6fCp8KBw6PCgcKvw6PCgsKs" + "?=",
    ],
)
def test_characters_beyond_ascii(written: str) -> None:
    header = EXAMPLE.replace('{"key" : "value"}', f'{{"my_utf8" : "{written}" }}')
    assert setting(rehearsed(header), "metadata") == {"my_utf8": "ç§\x81ã\x81¯ã\x82¬"}


def test_the_limits_of_the_attributes() -> None:
    assert setting(rehearsed(json.dumps({"campaign_id": "c" * 64})), "campaign_id") == "c" * 64
    tags = [f"t{number}" for number in range(12)]
    assert setting(rehearsed(json.dumps({"tags": tags})), "tags") == tuple(tags[:10])
    long = {"fits": "x" * 180, "does not": "y"}
    assert rehearsed(json.dumps({"metadata": long})).message.copy_plans[0].settings.metadata_text == (
        '{"fits":"' + "x" * 180 + '"}'
    )
    assert setting(rehearsed(json.dumps({"metadata": long})), "metadata") == long


@pytest.mark.parametrize(
    ("header", "context", "reply"),
    [
        ('{"metadata" : "value"}', {}, "550 5.6.0 X-MSYS-API 'metadata' must be of type 'json object'"),
        (json.dumps({"campaign_id": "c" * 65}), {}, "550 5.6.0 smtpapi_campaign_id context is limited to 64 bytes"),
        ("", {"smtpapi_campaign_id": "c" * 65}, "550 5.6.0 smtpapi_campaign_id context is limited to 64 bytes"),
    ],
)
def test_the_codes_of_rejections(header: str, context: dict[str, str], reply: str) -> None:
    with pytest.raises(Refusal) as refused:
        rehearsed(header, context)
    assert str(refused.value.reply) == reply


def test_the_code_when_no_transmission_id_can_be_made() -> None:
    assert issubclass(UniqueIdError, Exception)  # what the flow answers with this reply, see tests/flows
    assert str(NO_UNIQUE_ID) == "421 4.3.3 [internal] smtpapi unable to generate unique transmission id"
