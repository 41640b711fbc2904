"""Routes of webhooks: the vendor's, and ours for dead letters, replay and signing secrets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.api import webhook_schemas as schemas
from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, list_of, shown, text, time, time_zone, unix_ms, whole
from mailwake.api.routes import Route
from mailwake.api.schemas import array, members, results
from mailwake.api.schemas import text as words
from mailwake.api.schemas import whole as number
from mailwake.control.api_keys import Scope
from mailwake.webhooks.subscriptions import MAX_STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from mailwake.api.routes import Call
    from mailwake.webhooks.subscriptions import Subscriptions

ALL = "/api/v1/webhooks"
ONE = ALL + "/{id}"

_TIMES = ("last_successful", "last_failure", "failing_since")
_BY_ID = {"id": "The webhook's id."}
_ZONE = Parameter(name="timezone", kind=time_zone(), doc="Of the times in the answer, instead of UTC.")
_BATCHES = Parameter(name="batch_ids", kind=list_of(text(maximum=100)), doc="These alone; without it, all of them.")


class ReplayFrom(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    """From when on events are sent again."""

    since: str


class DeadLetters(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters are meant: all, where none are named."""

    batch_ids: list[str] | None = None


def _webhooks(call: Call) -> Subscriptions:
    if call.parts.webhooks is None:
        raise ApiError(Fault.BUSY, "webhooks are not ready yet; try again", headers={"retry-after": "5"})
    return call.parts.webhooks


def _link(webhook_id: str, rel: str, *methods: str, tail: str = "") -> dict[str, Any]:
    return {"href": f"{ALL}/{webhook_id}{tail}", "rel": f"urn.msys.webhooks.{rel}", "method": list(methods)}


def _itself(webhook_id: str) -> dict[str, Any]:
    return _link(webhook_id, "webhook", "GET", "PUT", "DELETE")


def _validation(webhook_id: str) -> dict[str, Any]:
    return _link(webhook_id, "validate", "POST", tail="/validate")


def _batches(webhook_id: str) -> dict[str, Any]:
    return _link(webhook_id, "batches", "GET", tail="/batch-status")


def _in_zone(webhook: Mapping[str, Any], zone: ZoneInfo | None) -> dict[str, Any]:
    if zone is None:
        return dict(webhook)
    times = {name: datetime.fromisoformat(webhook[name]).astimezone(zone) for name in _TIMES if name in webhook}
    return {**webhook, **{name: value.isoformat(timespec="milliseconds") for name, value in times.items()}}


async def _list(call: Call) -> list[dict[str, Any]]:
    found = await _webhooks(call).all(customer=call.customer)
    return [{**_in_zone(each, call.query.get("timezone")), "links": [_itself(each["id"])]} for each in found]


async def _create(call: Call) -> dict[str, Any]:
    made = await _webhooks(call).create(call.body, customer=call.customer)
    return {**made, "links": [_itself(made["id"])]}


async def _get(call: Call) -> dict[str, Any]:
    found = await _webhooks(call).get(call.path["id"], customer=call.customer)
    links = [_validation(found["id"]), _batches(found["id"])]
    return {**_in_zone(found, call.query.get("timezone")), "links": links}


async def _update(call: Call) -> dict[str, Any]:
    changed = await _webhooks(call).update(call.path["id"], call.body, customer=call.customer)
    return {**changed, "links": [_validation(changed["id"])]}


async def _delete(call: Call) -> None:
    await _webhooks(call).delete(call.path["id"], customer=call.customer)


async def _validate(call: Call) -> dict[str, Any]:
    return await _webhooks(call).validate(call.path["id"], call.body, customer=call.customer)


async def _batch_status(call: Call) -> list[dict[str, Any]]:
    found = await _webhooks(call).batch_status(call.path["id"], limit=call.query["limit"], customer=call.customer)
    return [_codes_as_text(each) for each in found]


async def _dead_letters(call: Call) -> list[dict[str, Any]]:
    return [
        _codes_as_text(each) for each in await _webhooks(call).dead_letters(call.path["id"], customer=call.customer)
    ]


def _codes_as_text(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch as the vendor has it, whose typed clients fail on numbers there."""
    return {**batch, **{name: str(batch[name]) for name in ("response_code", "failure_code") if name in batch}}


async def _replay_dead_letters(call: Call) -> dict[str, int]:
    which = None if call.body is None else call.body.batch_ids
    count = await _webhooks(call).replay_dead_letters(call.path["id"], which, customer=call.customer)
    return {"replayed": count}


async def _drop_dead_letters(call: Call) -> dict[str, int]:
    which = call.query.get("batch_ids")
    return {"dropped": await _webhooks(call).drop_dead_letters(call.path["id"], which, customer=call.customer)}


async def _replay(call: Call) -> dict[str, Any]:
    try:
        since = unix_ms(_WHEN.read(call.body.since), None)
    except ValueError:
        raise ApiError(Fault.NOT_JSON, f"'from' cannot be {shown(call.body.since)}; it is {_WHEN.allowed}") from None
    return await _webhooks(call).replay_from(call.path["id"], since, customer=call.customer)


async def _rotate(call: Call) -> dict[str, Any]:
    return await _webhooks(call).rotate_secret(call.path["id"], customer=call.customer)


_WHEN = time()
_CREATED = members({"id": words(), "signing_secret": words("Shown now and never again."), "links": schemas.LINKS})
_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105  # an example

WEBHOOK_ROUTES = (
    Route(
        method="GET",
        path=ALL,
        summary="All webhooks",
        answer=_list,
        scope=Scope.WEBHOOKS,
        query=(_ZONE,),
        result=results(array(schemas.SHOWN)),
        result_example={"results": [{**schemas.SHOWN_EXAMPLE, "links": [_itself(schemas.ID)]}]},
    ),
    Route(
        method="POST",
        path=ALL,
        summary="Make a webhook",
        details='A test batch, `[{"msys":{}}]`, is POSTed to the target first; unless it answers 200 nothing is made. '
        "It gets what happens from now on.",
        answer=_create,
        scope=Scope.WEBHOOKS,
        body=dict[str, Any],
        body_schema=schemas.NEW_WEBHOOK,
        body_example=schemas.NEW_EXAMPLE,
        result=results(_CREATED),
        result_example={"results": {"id": schemas.ID, "signing_secret": _SECRET, "links": [_itself(schemas.ID)]}},
        faults=(Fault.TARGET_FAILED,),
    ),
    Route(
        method="GET",
        path=ONE,
        summary="One webhook",
        answer=_get,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        query=(_ZONE,),
        result=results(schemas.SHOWN),
        result_example={"results": {**schemas.SHOWN_EXAMPLE, "links": [_validation(schemas.ID), _batches(schemas.ID)]}},
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="PUT",
        path=ONE,
        summary="Change a webhook",
        details="Fields that are left out, or `(hidden)`, stay as they are. A new target is tested as at the making.",
        answer=_update,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        body=dict[str, Any],
        body_schema=schemas.CHANGED_WEBHOOK,
        body_example=schemas.CHANGE_EXAMPLE,
        result=results(members({"id": words(), "links": schemas.LINKS})),
        result_example={"results": {"id": schemas.ID, "links": [_validation(schemas.ID)]}},
        faults=(Fault.TARGET_FAILED, Fault.NOT_FOUND, Fault.CONFLICT),
    ),
    Route(
        method="DELETE",
        path=ONE,
        summary="Delete a webhook, with its dead letters",
        answer=_delete,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        status=204,
        faults=(Fault.NOT_FOUND, Fault.CONFLICT),
    ),
    Route(
        method="POST",
        path=ONE + "/validate",
        summary="Send a test batch to the target",
        details='`message` of the body is sent as the only event, or, without it, `{"msys":{}}`.',
        answer=_validate,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        body=object,
        body_schema={"type": ["object", "array"], "properties": {"message": {"type": "object"}}},
        body_optional=True,
        body_example={"message": {"msys": {}}},
        result=results(members({"msg": words(), "response": schemas.ANSWER})),
        result_example={
            "results": {
                "msg": "Test POST to endpoint succeeded",
                "response": {"status": 200, "headers": {"content-type": "text/plain"}, "body": "OK"},
            }
        },
        faults=(Fault.TARGET_FAILED, Fault.NOT_FOUND),
    ),
    Route(
        method="GET",
        path=ONE + "/batch-status",
        summary="The batches that were tried lately, the latest first",
        answer=_batch_status,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        query=(Parameter(name="limit", kind=whole(1, MAX_STATUS), doc="How many at most.", default=MAX_STATUS),),
        result=results(array(schemas.BATCH)),
        result_example={"results": [schemas.BATCH_EXAMPLE]},
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="GET",
        path=ONE + "/dead-letters",
        summary="The batches that were given up, the oldest first",
        answer=_dead_letters,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        result=results(array(schemas.DEAD_LETTER)),
        result_example={
            "results": [
                {
                    **schemas.BATCH_EXAMPLE,
                    "response_code": "503",
                    "failure_code": "503",
                    "state": "dead",
                    "due": "2026-03-01T12:00:00.000Z",
                    "from": "7:0",
                    "to": "7:81920",
                    "events_available": 1204,
                }
            ]
        },
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="DELETE",
        path=ONE + "/dead-letters",
        summary="Forget dead letters",
        answer=_drop_dead_letters,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        query=(_BATCHES,),
        result=results(members({"dropped": number()})),
        result_example={"results": {"dropped": 3}},
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="POST",
        path=ONE + "/dead-letters/replay",
        summary="Have dead letters sent again, under their own batch ids and before anything new",
        answer=_replay_dead_letters,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        body=DeadLetters,
        body_optional=True,
        body_example={"batch_ids": [schemas.BATCH_EXAMPLE["batch_id"]]},
        result=results(members({"replayed": number()})),
        result_example={"results": {"replayed": 1}},
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="POST",
        path=ONE + "/replay",
        summary="Send all events again that came at a time or later",
        details="In new batches; events have the same `event_id` as before. What retention has taken is not sent. "
        "A webhook that is not so far yet goes on where it is; a time that is not past passes over all that waits.",
        answer=_replay,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        body=ReplayFrom,
        body_example={"from": "2026-03-01T12:00:00Z"},
        result=results(members({"id": words(), "from": words(), "position": words("Where it goes on in the feed.")})),
        result_example={"results": {"id": schemas.ID, "from": "2026-03-01T12:00:00.000Z", "position": "7:0"}},
        faults=(Fault.NOT_FOUND,),
    ),
    Route(
        method="POST",
        path=ONE + "/rotate-secret",
        summary="Make a new signing secret",
        details="For a day batches are signed with the former one, too.",
        answer=_rotate,
        scope=Scope.WEBHOOKS,
        path_docs=_BY_ID,
        result=results(members({"id": words(), "signing_secret": words("Shown now and never again.")})),
        result_example={"results": {"id": schemas.ID, "signing_secret": _SECRET}},
        faults=(Fault.NOT_FOUND, Fault.CONFLICT),
    ),
)
