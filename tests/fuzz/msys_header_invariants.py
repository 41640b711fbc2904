"""What holds for any value of an X-MSYS-API field: a second, plain reading of it by the json module agrees."""

from __future__ import annotations

import json
import string
from typing import Any

from mailwake.message.headers import unfold
from mailwake.message.json_value import DEEPEST
from mailwake.message.msys_header import CAMPAIGN_LIMIT, CAMPAIGN_TOO_LONG, MsysHeader, read_msys_header
from mailwake.message.msys_recipients import AddedRecipients, Mailbox
from mailwake.smtp.addresses import AddressError, parse_address
from mailwake.smtp.replies import Refusal, Reply

_CAMPAIGN = "campaign too long"


class RefusedError(Exception):
    """The plain reading refuses the value; its text names the field."""


def check_msys_header(value: bytes) -> None:
    """`read_msys_header` raises nothing but Refusal, and takes just what the json module and the types allow."""
    header, reply = read(value)
    if reply is not None:
        assert reply.code == 550
        reply.encode()
    if header is not None:
        check_types(header)
        json.dumps([header.campaign_id, header.metadata, header.tags], ensure_ascii=False).encode("utf-8")
    if b"=?" in value:
        return  # encoded-words are no business of the json module
    wanted, reason = expected(value)
    assert (reply is None) == (reason == ""), reason
    assert (reply == CAMPAIGN_TOO_LONG) == (reason == _CAMPAIGN), reason
    assert header == wanted
    assert repr(header) == repr(wanted)  # 1 is no 1.0, and True no 1


def read(value: bytes) -> tuple[MsysHeader | None, Reply | None]:
    """What we read, or our refusal."""
    try:
        return read_msys_header([value]), None
    except Refusal as refusal:
        return None, refusal.reply


def expected(value: bytes) -> tuple[MsysHeader | None, str]:
    """What the plain reading gives, or why it refuses."""
    try:
        return plainly_read(unfold(value)), ""
    except RefusedError as error:
        return None, str(error) or "?"


def check_types(header: MsysHeader) -> None:
    assert header.open_tracking in (None, True, False)
    assert header.click_tracking in (None, True, False)
    assert header.campaign_id is None or len(header.campaign_id.encode()) <= CAMPAIGN_LIMIT
    assert header.metadata is None or type(header.metadata) is dict
    assert header.tags is None or all(type(tag) is str for tag in header.tags)
    assert header.transactional in (None, True, False)
    for mailboxes in header.added or ():
        assert all("@" in each.email and "\n" not in each.email + each.name for each in mailboxes)


def plainly_read(value: bytes) -> MsysHeader:
    """The header by the json module, with the rules of 1-injection §3 in their plainest form."""
    try:
        text = value.decode("utf-8")
        read = json.loads(text, parse_constant=no_constant, parse_float=finite, object_pairs_hook=members)
        json.dumps(read, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RefusedError(str(error)) from None
    if type(read) is not dict or depth(read) > DEEPEST:
        raise RefusedError("no object")
    options = typed(read, "options", dict) or {}
    campaign = typed(read, "campaign_id", str)
    if campaign is not None and len(campaign.encode()) > CAMPAIGN_LIMIT:
        raise RefusedError(_CAMPAIGN)
    tags = typed(read, "tags", list)
    if tags is not None and any(type(tag) is not str for tag in tags):
        raise RefusedError("tags")
    return MsysHeader(
        open_tracking=typed(options, "open_tracking", bool),
        click_tracking=typed(options, "click_tracking", bool),
        campaign_id=campaign,
        metadata=typed(read, "metadata", dict),
        tags=tags,
        added=added(read),
        transactional=typed(options, "transactional", bool),
        ip_pool=pool(typed(options, "ip_pool", str)),
        tracking_level=level(typed(options, "tracking_level", str)),
    )


def pool(name: str | None) -> str | None:
    allowed = set(string.ascii_letters + string.digits + "_.-")
    if name is not None and not (1 <= len(name) <= 64 and set(name) <= allowed):
        raise RefusedError("ip_pool")
    return name


def level(name: str | None) -> str | None:
    if name not in (None, "off", "anonymous", "identified"):
        raise RefusedError("tracking_level")
    return name


def added(read: dict[str, Any]) -> AddedRecipients | None:
    names = ("cc", "bcc", "archive")
    if not any(name in read for name in names):
        return None
    lists = [[mailbox(entry) for entry in typed(read, name, list) or []] for name in names]
    if sum(map(len, lists)) > 1000:
        raise RefusedError("too many")
    seen = set()
    kept: list[list[Mailbox]] = [[], [], []]
    for into, mailboxes in zip(kept, lists, strict=True):
        for each in mailboxes:
            local_part, _, domain = each.email.rpartition("@")
            if (local_part, domain.lower()) not in seen:
                seen.add((local_part, domain.lower()))
                into.append(each)
    return AddedRecipients(*kept)


def mailbox(entry: Any) -> Mailbox:
    given = entry if type(entry) is dict else {"email": entry}
    email, name = given.get("email"), given.get("name", "")
    if type(email) is not str or type(name) is not str:
        raise RefusedError("entry")
    try:
        return Mailbox(parse_address(email, smtputf8=True), " ".join(name.split()))
    except AddressError:
        raise RefusedError("address") from None


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a lone surrogate is no text even in a member that a later one of its name takes the place of."""
    json.dumps(pairs, ensure_ascii=False).encode("utf-8")
    return dict(pairs)


def typed(values: dict[str, Any], name: str, wanted: type) -> Any:
    if name in values and type(values[name]) is not wanted:
        raise RefusedError(name)
    return values.get(name)


def no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("beyond a double's range")
    return number


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0
