"""Webhooks: whether their targets take what happens, what was given up, and what can be done about it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, time, unix_ms, whole
from mailwake.api.parameters import choice as one_of
from mailwake.control.api_keys import Scope
from mailwake.dashboard.formats import ago, number
from mailwake.dashboard.pages import Page
from mailwake.webhooks.posting import FAILURES
from mailwake.webhooks.target_url import without_secrets
from mailwake.webhooks.webhook import WebhookError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

    from mailwake.dashboard.pages import Visit
    from mailwake.webhooks.subscriptions import Standing, Subscriptions

WEBHOOKS = "/dashboard/webhooks"
_ONE = f"{WEBHOOKS}/{{id}}"

_BATCHES = 50
_DEAD_LETTERS = 100

BEHIND_SECONDS = 60.0
"""An event that has waited for longer, beside the time that batches may wait for more, makes a webhook late."""

_TIMES = ("last_successful", "last_failure", "failing_since", "ts", "due")
_OPTIONAL = ("customer_id", "batch_size", "batch_seconds", "response_code", "failure_code", "latency")
"""What is left out of what the API shows, where there is none."""

_ALL = "all"
CONFIRMED = "confirmed"
"""The field of a form that says: yes, do it."""


class Status(NamedTuple):
    """How a webhook is, in a word and a sentence."""

    word: str
    tone: str
    sentence: str


def status_of(webhook: Mapping[str, Any], standing: Standing, now: float) -> Status:
    """From what the API shows of it, times in Unix milliseconds, and how far it is."""
    events = f"{number(standing.waiting)}{' or more' if standing.more else ''}"
    noun = "event waits" if events == "1" else "events wait"
    waits = f"{events} {noun}"
    if standing.oldest is not None:
        waits += f", the oldest for {ago(int(standing.oldest * 1000), now)}"
    if not webhook["active"]:
        return Status("Switched off", "plain", "It gets nothing until it is switched on")
    if webhook["failing_since"] is not None:
        return Status("Failing", "bad", f"Its target has failed for {ago(webhook['failing_since'], now)}; {waits}")
    patience = BEHIND_SECONDS + float(webhook["batch_seconds"] or 0)
    if standing.oldest is not None and now - standing.oldest > patience:
        return Status("Behind", "warn", waits)
    return Status("Up to date", "good", waits if standing.waiting else "Nothing waits")


def _webhooks(visit: Visit) -> Subscriptions:
    if visit.parts.webhooks is None:
        raise ApiError(Fault.BUSY, "webhooks are not ready yet; try again", headers={"retry-after": "5"})
    return visit.parts.webhooks


def _in_ms(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The same with all its fields, its times as Unix milliseconds, and its target without what is secret in it."""
    times = {name: _ms(shown[name]) for name in _TIMES if shown.get(name)}
    target = {"target": without_secrets(shown["target"])} if "target" in shown else {}
    return {**dict.fromkeys((*_TIMES, *_OPTIONAL)), **shown, **times, **target}


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def _list(visit: Visit) -> Response:
    customer = visit.viewer.customer
    found = [_in_ms(each) for each in await _webhooks(visit).all(customer=customer)]
    standings = await _webhooks(visit).standings(customer=customer)
    rows = [
        (each, status_of(each, standings[each["id"]], visit.view.now), standings[each["id"]].dead_letters)
        for each in found
        if each["id"] in standings  # it may have gone meanwhile
    ]
    return await visit.render(
        "webhook_list.html", rows=rows, one=lambda webhook: visit.url(f"{WEBHOOKS}/{webhook['id']}")
    )


class Told(NamedTuple):
    """What came of what a form did."""

    tone: str
    """`good` or `bad`."""
    text: str
    answer: Mapping[str, Any] | None = None
    """What the target answered to a test."""


async def _one(visit: Visit) -> Response:
    return await _shown(visit, _done(visit))


async def _shown(visit: Visit, told: Told | None, *, status: int = 200) -> Response:
    webhooks, webhook_id, customer = _webhooks(visit), visit.path["id"], visit.viewer.customer
    standings = await webhooks.standings(customer=customer)
    webhook = _in_ms(await webhooks.get(webhook_id, customer=customer))  # 404 when it has gone, meanwhile too
    standing = standings[webhook_id]
    batches = await webhooks.batch_status(webhook_id, limit=_BATCHES, customer=customer)
    dead = await webhooks.dead_letters(webhook_id, customer=customer)
    return await visit.render(
        "webhook_page.html",
        status=status,
        told=told,
        webhook=webhook,
        state=status_of(webhook, standing, visit.view.now),
        standing=standing,
        batches=[_in_ms(each) for each in batches],
        dead=[_in_ms(each) for each in dead[:_DEAD_LETTERS]],
        dead_total=len(dead),
        all=_ALL,
        confirmed=CONFIRMED,
        failures=FAILURES,
        action=lambda name: visit.url(f"{WEBHOOKS}/{webhook_id}/{name}"),
        hour_ago=f"{datetime.fromtimestamp(visit.view.now - 3600, visit.view.zone):%Y-%m-%dT%H:%M}",
    )


_DONE = {
    "replay": "Events since then are sent again, in new batches; each has the event_id that it had.",
    "letters": "{count} of its dead letters are sent again, before anything new.",
    "dropped": "{count} of its dead letters are forgotten.",
}


def _done(visit: Visit) -> Told | None:
    if "done" not in visit.query:
        return None
    return Told("good", _DONE[visit.query["done"]].format(count=visit.query.get("count", 0)))


def _back(visit: Visit, done: str, count: int = 0) -> Response:
    changes = {"done": done, "count": str(count) if count else None}
    return visit.redirect(visit.url(f"{WEBHOOKS}/{visit.path['id']}", **changes))


async def _unconfirmed(visit: Visit) -> Response | None:
    """What is answered to a form whose box was not ticked."""
    if visit.form.get(CONFIRMED) == "yes":
        return None
    return await _shown(visit, Told("bad", "Nothing was done: tick the box that says what will happen."), status=400)


async def _test(visit: Visit) -> Response:
    try:
        result = await _webhooks(visit).validate(visit.path["id"], customer=visit.viewer.customer)
    except WebhookError as error:
        if error.status != Fault.TARGET_FAILED.status:
            raise
        return await _shown(visit, Told("bad", f"The target does not take a test batch: {error.description}."))
    return await _shown(visit, Told("good", "The target has taken a test batch.", result["response"]))


async def _replay(visit: Visit) -> Response:
    refused = await _unconfirmed(visit)
    if refused is not None:
        return refused
    try:
        since = unix_ms(_WHEN.read(visit.form.get("from", "")), visit.view.zone)
    except ValueError:
        return await _shown(visit, Told("bad", f"'From' is no time; it is {_WHEN.allowed}."), status=400)
    if since >= visit.view.now * 1000:  # such a replay would pass over all that waits
        return await _shown(
            visit, Told("bad", "'From' must be past: nothing can be sent again from then on."), status=400
        )
    await _webhooks(visit).replay_from(visit.path["id"], since, customer=visit.viewer.customer)
    return _back(visit, "replay")


async def _letters(visit: Visit) -> Response:
    refused = await _unconfirmed(visit)
    if refused is not None:
        return refused
    batch = visit.form.get("batch", "")
    which = None if batch == _ALL else [batch]
    webhooks, customer = _webhooks(visit), visit.viewer.customer
    if visit.form.get("do") == "drop":
        return _back(visit, "dropped", await webhooks.drop_dead_letters(visit.path["id"], which, customer=customer))
    return _back(visit, "letters", await webhooks.replay_dead_letters(visit.path["id"], which, customer=customer))


_WHEN = time()
_RESULT = (
    Parameter(name="done", kind=one_of(*_DONE), doc="What a form has done."),
    Parameter(name="count", kind=whole(0, 10**9), doc="To how many."),
)


def _form(path: str, answer: Callable[[Visit], Awaitable[Response]]) -> Page:
    return Page(
        path=f"{_ONE}/{path}",
        answer=answer,
        scope=Scope.WEBHOOKS,
        method="POST",
        is_form_of_page=True,
        under="Webhooks",
    )


WEBHOOK_PAGES = (
    Page(path=WEBHOOKS, answer=_list, scope=Scope.WEBHOOKS, nav="Webhooks", group="Sending events", icon="webhooks"),
    Page(path=_ONE, answer=_one, scope=Scope.WEBHOOKS, query=_RESULT, under="Webhooks"),
    _form("test", _test),
    _form("replay", _replay),
    _form("dead-letters", _letters),
)
