"""Every event of the log, from which docs/reference/log.md is generated; a test holds it against the code."""

from __future__ import annotations

from typing import NamedTuple


class LogEvent(NamedTuple):
    """A line's event: its level, its fields beside those of every line, and what has happened or is to be done."""

    name: str
    level: str
    fields: tuple[str, ...]
    meaning: str


class Area(NamedTuple):
    """Events that belong together."""

    title: str
    events: tuple[LogEvent, ...]


_WHO = ("transmission", "peer", "customer", "sender", "recipients", "to", "size", "reply")
_TIMES = ("receive_ms", "policy_ms", "relay_ms", "total_ms")
_ATTEMPT = (
    *("result", "transmission", "message_id", "customer", "sender", "recipient", "next_hop", "reply"),
    *("reason", "attempts", "waited"),
)

_WEBHOOK = ("webhook", "webhook_id")

LOG: tuple[Area, ...] = (
    Area(
        "A message",
        (
            LogEvent(
                "message",
                "info",
                (
                    *_WHO,
                    *(
                        "campaign",
                        "sent",
                        "links",
                        "signed",
                        "result",
                        "outcome",
                        "next_hop",
                        "next_hop_reply",
                        "reason",
                    ),
                    *_TIMES,
                ),
                "A message that went to the next hop or into the spool; `result` is what its sender was told",
            ),
            LogEvent(
                "message refused",
                "warning",
                (*_WHO, "result", "reason", *_TIMES),
                "A message that was not handed on: the header is wrong, policy does not want it, or it can have no id",
            ),
            LogEvent(
                "message discarded",
                "info",
                (*_WHO, "result", *_TIMES),
                "Policy left no copy: it threw them away, or refused them, which LMTP tells of each",
            ),
            LogEvent(
                "copy discarded by policy",
                "info",
                ("transmission", "peer", "sender", "recipient", "reason"),
                "Policy threw this recipient's copy away",
            ),
            LogEvent(
                "copy refused by policy",
                "info",
                ("transmission", "peer", "sender", "recipient", "reason"),
                "Policy refused this recipient's copy; LMTP tells of each",
            ),
            LogEvent(
                "refused, and no sender to tell",
                "warning",
                ("transmission", "recipient", "reply"),
                "The next hop refused this copy for good, others were taken, and nobody may get a report",
            ),
            LogEvent(
                "the spool cannot take a message",
                "error",
                ("transmission", "error"),
                "The sender gets 452 and tries again: look at the disk",
            ),
            LogEvent(
                "the spool cannot take the rest of a message",
                "error",
                ("transmission", "error"),
                "Some copies were taken; the sender gets 452 and repeats all: look at the disk",
            ),
            LogEvent(
                "a message cannot have events",
                "error",
                ("transmission", "error"),
                "No ids could be made; the sender gets 421 and tries again",
            ),
            LogEvent(
                "too much mail in hand, a message was cut off",
                "warning",
                ("peer",),
                "max_memory is used up; the sender gets 452 and tries again",
            ),
            LogEvent(
                "the disk is nearly full, no mail is taken",
                "error",
                ("path", "free", "min_free_space"),
                "Once for each worker; MAIL gets 452 until there is room",
            ),
            LogEvent("the disk has room again, mail is taken", "info", ("path", "free"), "Once for each worker"),
            LogEvent("a decision failed", "error", ("peer",), "A defect of mailwake; the client gets 451"),
        ),
    ),
    Area(
        "Later attempts, from the spool",
        (
            LogEvent(
                "tried",
                "info",
                _ATTEMPT,
                'The first attempt for a copy taken with `acceptance = "spool"`; warning if nobody can be told',
            ),
            LogEvent(
                "retried",
                "info",
                _ATTEMPT,
                "A later attempt; warning if nobody can be told of a failure",
            ),
            LogEvent(
                "a route is configured no more, its copies take the default one",
                "warning",
                ("route",),
                "Once; copies of it waited in the spool when the configuration changed",
            ),
            LogEvent(
                "the next hop is back",
                "info",
                ("route", "next_hop"),
                "The route could not be reached, and can be: its copies in the spool are tried again",
            ),
            LogEvent("retry failed", "error", ("message_id", "reason"), "A defect of mailwake; it is tried again"),
            LogEvent("spool cannot be read", "error", ("reason",), "Look at the disk; it is tried again"),
            LogEvent("spool cannot be looked after", "error", ("reason",), "Look at the disk; it is tried again"),
            LogEvent(
                "an attempt cannot be written to the spool",
                "error",
                ("result", "reason"),
                "Look at the disk; it is written as soon as that works, and the copy is not sent twice meanwhile",
            ),
            LogEvent("a copy cannot be given back to the spool", "error", ("reason",), "It comes back by a restart"),
            LogEvent("a copy cannot be put off in the spool", "error", ("reason",), "It comes back by a restart"),
        ),
    ),
    Area(
        "Tracking",
        (
            LogEvent(
                "metadata trimmed to max_metadata_len", "info", ("kept",), "Metadata did not fit; `kept` names what did"
            ),
            LogEvent(
                "tracked links whose text is a URL",
                "warning",
                ("links", "first"),
                'tracked_link_text = "warn": filters may take such links for phishing',
            ),
            LogEvent("a copy leaves untracked", "warning", ("reason", "error"), "Mail goes on, tracking does not"),
            LogEvent(
                "a copy leaves without List-Unsubscribe",
                "warning",
                ("error",),
                "What the link must carry is too long for a line; the copy leaves all the same",
            ),
            LogEvent(
                "planning failed, the message leaves untracked", "error", (), "A defect of mailwake; please report"
            ),
            LogEvent(
                "rendering failed, the copy leaves untracked",
                "error",
                ("transmission",),
                "A defect of mailwake; please report",
            ),
            LogEvent(
                "known_tags_unavailable", "warning", ("path", "error"), "Messages have no new tags until it is mended"
            ),
        ),
    ),
    Area(
        "Clients",
        (
            LogEvent(
                "relaying refused",
                "info",
                ("peer", "sender", "recipient"),
                "550: the client has not logged in and is not in relay_networks",
            ),
            LogEvent(
                "client refused",
                "warning",
                ("listener", "reason", "peer", "detail"),
                "A connection that was turned away: too many, too fast, or no good PROXY header",
            ),
            LogEvent(
                "clients refused",
                "warning",
                ("listener", "reason", "count", "addresses", "most_from", "most"),
                "Several of them, in one line",
            ),
            LogEvent("AUTH refused", "warning", ("peer", "account"), "A wrong name or password"),
            LogEvent(
                "client certificate of no account", "info", ("peer", "sha256"), "Its owner has to log in otherwise"
            ),
            LogEvent("TLS handshake failed", "info", ("peer", "error"), "The connection was closed"),
            LogEvent("refused by policy", "info", ("phase", "peer", "reply"), "A connection or a command"),
            LogEvent("XCLIENT", "info", ("peer", "client", "name", "account"), "A trusted peer says who its client is"),
            LogEvent("XCLIENT refused", "warning", ("peer", "account"), "There is no such account"),
            LogEvent("XREMOTEIP", "info", ("peer", "client"), "A trusted peer says what its client's address is"),
        ),
    ),
    Area(
        "Next hop",
        (
            LogEvent("next hop cannot be used", "warning", ("next_hop", "reason"), "Once, until it can be used again"),
            LogEvent("next hop can be used again", "info", ("next_hop",), "Mail goes there again"),
            LogEvent(
                "copy may be delivered twice",
                "warning",
                ("next_hop", "reason"),
                "The connection was lost between the content and its reply; the copy is sent again",
            ),
            LogEvent(
                "copy converted for the next hop",
                "info",
                ("next_hop", "to", "encoded_parts", "broken_signatures", "eight_bit_header"),
                "The hop does not offer 8BITMIME or BINARYMIME",
            ),
            LogEvent(
                "copy refused, it cannot be converted", "info", ("next_hop", "reason"), "It goes back to its sender"
            ),
        ),
    ),
    Area(
        "Policy",
        (
            LogEvent("policy says", "info", ("policy", "phase", "text"), "`print` in a Lua policy"),
            LogEvent(
                "policy failed",
                "error",
                ("policy", "phase", "where", "peer", "error", "then"),
                "It raised, ran too long or answered nonsense; `then` says what was done instead",
            ),
        ),
    ),
    Area(
        "Events and ids",
        (
            LogEvent(
                "events lost: the journal cannot be written, look at the disk",
                "error",
                ("events", "error"),
                "Mail goes on",
            ),
            LogEvent(
                "events lost, people were redirected all the same", "error", ("events", "error"), "Look at the disk"
            ),
            LogEvent("a person's events are erased", "info", ("erasure",), "`mailwake privacy status` lists them all"),
            LogEvent("events cannot be erased yet", "error", ("error",), "It is tried again every second"),
            LogEvent(
                "unsubscriptions not recorded, answered 503",
                "error",
                ("requests", "error"),
                "Mail programs ask again, and so may people; look at the disk",
            ),
            LogEvent(
                "events wait in the spool: the journal cannot be written",
                "error",
                ("error",),
                "None is lost; look at the disk",
            ),
            LogEvent(
                "events wait in the spool until this worker ends", "error", ("error",), "None is lost; look at the disk"
            ),
            LogEvent(
                "the mark of used ids cannot be written, look at the disk",
                "error",
                ("error",),
                "In 15 seconds no ids can be made, and senders get 421",
            ),
        ),
    ),
    Area(
        "Sinks",
        (
            LogEvent(
                "a sink fails, its events wait",
                "error",
                ("sink", "error"),
                "Once, until it is back; it is tried again without end, and no event is lost",
            ),
            LogEvent(
                "a sink fails by a defect, its events wait", "error", ("sink",), "A defect of mailwake; the same holds"
            ),
            LogEvent("a sink is back", "info", ("sink", "seconds"), "It goes on where it was"),
            LogEvent(
                "a sink passed over damaged events of the feed",
                "error",
                ("sink", "error"),
                "`mailwake journal verify` says more",
            ),
            LogEvent(
                "a sink is configured no more, its position is forgotten",
                "info",
                ("sink",),
                "Events are not kept for it any longer; under the same name it would be a new one",
            ),
            LogEvent(
                "an unfinished line was cut off",
                "warning",
                ("sink", "path", "size"),
                "A kill or a loss of power has left it; its event is written again",
            ),
            LogEvent(
                "rotated files of a sink cannot be kept in order",
                "warning",
                ("sink", "error"),
                "Events are written all the same; it is tried again at the next rotation",
            ),
        ),
    ),
    Area(
        "Tracker",
        (
            LogEvent("tracker request failed", "error", ("path",), "A defect of mailwake; the request got 500"),
            LogEvent("keyring cannot be read; the one in use stays", "error", ("error",), "New keys are not learnt"),
            LogEvent("certificate loaded anew", "info", ("certificate",), "New connections get it"),
            LogEvent(
                "certificate cannot be used, the one in use stays",
                "error",
                ("error",),
                "Mend the file; it is read anew",
            ),
            LogEvent(
                "open files limit the connections",
                "warning",
                ("wanted", "connections"),
                "Raise the limit (LimitNOFILE), or lower tracker.max_connections",
            ),
        ),
    ),
    Area(
        "The collector",
        (
            LogEvent(
                "events wait in the journal",
                "error",
                ("error",),
                "They cannot be written into the feed; it is tried every second, and nothing is lost",
            ),
            LogEvent(
                "a part of the collector has failed and is begun again",
                "error",
                ("part", "error"),
                "The others go on; without an `error` it is a defect of mailwake, and the line has a traceback",
            ),
            LogEvent(
                "parts of the collector do not end and are given up",
                "error",
                ("parts",),
                "Its process ends all the same, as if killed, which loses nothing; something hangs, perhaps a disk",
            ),
            LogEvent("the former collector still has the feed", "info", (), "The new one waits until it has ended"),
            LogEvent(
                "the enrichment has failed at an event, which moves on without it",
                "error",
                (),
                "A defect of mailwake, with its traceback; said once, and counted each time",
            ),
            LogEvent("events move on", "info", (), "What they waited for is over"),
            LogEvent(
                "a record of the journal is passed over",
                "error",
                ("place", "error"),
                "It cannot be read: damaged, or of a later release",
            ),
            LogEvent(
                "the journal is damaged, and read on behind the damage",
                "error",
                ("error",),
                "What stood there is lost; look at the disk",
            ),
            LogEvent(
                "the feed is damaged, and read on behind the damage",
                "error",
                ("error",),
                "What stood there is lost for consumers that had not read it; look at the disk",
            ),
            LogEvent(
                "a damaged segment of the journal was put aside",
                "warning",
                ("path", "octets"),
                "All that can be read of it is in the feed; the file stays for `[journal] keep`, for you to look at",
            ),
            LogEvent("old events deleted from the feed", "info", ("segments", "octets"), "By `[journal]`"),
            LogEvent(
                "a consumer holds back old events that would be deleted",
                "warning",
                ("consumer", "octets", "seconds"),
                "It has not read them; mend it, or remove it with `mailwake journal forget`. Said once an hour",
            ),
            LogEvent(
                "the disk is nearly full, old events are deleted before their time",
                "error",
                ("path", "free"),
                "Less than twice `min_free_space` is free; what a consumer has not read stays",
            ),
            LogEvent(
                "the disk has room again, events are kept as long as they should be", "info", ("free",), "It is over"
            ),
            LogEvent("the journal cannot be tidied", "error", ("error",), "It is tried again in a minute"),
            LogEvent("enrichment file read anew", "info", ("file",), "It had changed; it holds from the next event on"),
            LogEvent(
                "enrichment file cannot be used; the old one stays",
                "error",
                ("file", "error"),
                "It has changed; said once for each bad version",
            ),
        ),
    ),
    Area(
        "The HTTP API",
        (
            LogEvent(
                "api request",
                "info",
                ("request", "method", "path", "status", "key", "peer", "total_ms"),
                "A request with a key, or one that lacked it; its query is left out, as people's addresses stand there",
            ),
            LogEvent(
                "api request without a key",
                "debug",
                ("request", "method", "path", "status", "key", "peer", "total_ms"),
                "One that needed none, or was refused for another reason; 429 after too many without a valid key",
            ),
            LogEvent("the API failed", "error", ("request",), "A defect of mailwake; the client got 500"),
            LogEvent(
                "the API cannot answer",
                "error",
                ("request", "error"),
                "A file or database cannot be read or written; the client got 503",
            ),
            LogEvent("API keys cannot be read", "error", ("error",), "Nobody can be let in; the client got 503"),
            LogEvent(
                "the use of an API key cannot be noted",
                "warning",
                ("key", "error"),
                "`mailwake apikey list` does not show it; the request was answered",
            ),
        ),
    ),
    Area(
        "Webhooks",
        (
            LogEvent(
                "a webhook's target fails",
                "warning",
                (*_WEBHOOK, "target", "batch", "reason"),
                "Once, until it takes a batch again; the batch is tried again for `retry_for`",
            ),
            LogEvent(
                "a webhook's target takes batches again", "info", (*_WEBHOOK, "batch"), "What has waited is delivered"
            ),
            LogEvent(
                "a batch is too large for a webhook's target, smaller ones follow",
                "warning",
                (*_WEBHOOK, "batch", "size"),
                "413: let the target take more, or lower `max_body_size`; nothing is lost",
            ),
            LogEvent(
                "a batch of a webhook is a dead letter",
                "error",
                (*_WEBHOOK, "batch", "events", "attempts", "reason"),
                "It was given up; mend the target, then `mailwake webhooks replay`",
            ),
            LogEvent(
                "the feed has not all events of a batch any more",
                "error",
                (*_WEBHOOK, "batch", "events", "left"),
                "Retention has taken them, or they were erased: what is left is sent",
            ),
            LogEvent(
                "a webhook waits until a file can be used again",
                "error",
                (*_WEBHOOK, "error"),
                "Look at the disk; nothing is lost",
            ),
            LogEvent(
                "webhooks wait until a file can be used again",
                "error",
                ("error",),
                "Look at the disk; webhooks that are running go on",
            ),
            LogEvent(
                "a webhook could not go on, it is tried again",
                "error",
                _WEBHOOK,
                "A defect of mailwake; please report",
            ),
        ),
    ),
    Area(
        "The store",
        (
            LogEvent(
                "the store is not loaded; events wait in the feed",
                "error",
                ("error",),
                "It cannot be used, or the feed cannot be read; it is tried every half a minute, webhooks go on",
            ),
            LogEvent("the store is loaded again", "info", (), "What events waited for is over"),
            LogEvent(
                "the feed is damaged, and loaded on behind the damage",
                "error",
                ("error",),
                "What stood there is not in the store; look at the disk",
            ),
            LogEvent(
                "the feed ends before what the store has loaded; it is read from its beginning",
                "warning",
                (),
                "The feed was put back or lost; events that the store has already are passed over",
            ),
            LogEvent(
                "a file is made of the store",
                "info",
                ("path", "events", "octets", "seconds"),
                "A backup or an export is ready to be fetched; the name says which",
            ),
            LogEvent(
                "a file cannot be made of the store",
                "error",
                ("path", "error"),
                "A backup or an export failed; whoever asked for it is told the same",
            ),
            LogEvent("old events are forgotten", "info", ("events",), "They were older than `store.keep`"),
        ),
    ),
    Area(
        "The service",
        (
            LogEvent(
                "configuration reloaded",
                "info",
                ("changed", "smtp", "tracker"),
                "SIGHUP: new connections get the new settings",
            ),
            LogEvent(
                "configuration not reloaded, the running one stays in force",
                "error",
                ("error",),
                "SIGHUP: nothing has changed",
            ),
            LogEvent("upgrading", "info", ("version",), "SIGUSR2: the new version is being tried"),
            LogEvent(
                "upgraded",
                "info",
                ("version", "former", "smtp", "tracker"),
                "New connections are served by the new version",
            ),
            LogEvent(
                "not upgraded, the running version stays in force", "error", ("error",), "SIGUSR2: nothing has changed"
            ),
            LogEvent(
                "upgraded in part: workers of the former version stay in force until a reload or an upgrade succeeds",
                "error",
                ("error",),
                "SIGUSR2: the new workers did not get ready after all",
            ),
            LogEvent(
                "workers of a former configuration have ended",
                "info",
                ("workers",),
                "The last of their clients has left",
            ),
            LogEvent(
                "worker cannot be started",
                "error",
                ("worker", "error"),
                "The system has no memory for another process, or allows no more of them; it is tried again",
            ),
            LogEvent(
                "a worker cannot be forked and is started as a program",
                "warning",
                ("worker", "error"),
                "It takes a second longer; if the fork server has ended, until the next restart or upgrade",
            ),
            LogEvent(
                "worker died and is started again",
                "error",
                ("worker", "cause", "failures_in_a_row"),
                "Connections wait meanwhile",
            ),
            LogEvent("worker died while it drained", "error", ("worker", "cause"), "Its clients were disconnected"),
            LogEvent(
                "worker of the former version died",
                "error",
                ("worker", "cause"),
                "Between the halves of an upgrade; new workers are started in its stead",
            ),
            LogEvent("worker cannot serve", "error", ("worker", "error"), "Why it ended"),
            LogEvent(
                "worker did not stop in time and was killed",
                "warning",
                ("worker", "seconds"),
                "At the end, or of a drain",
            ),
            LogEvent("stopping", "info", ("workers",), "SIGTERM: messages in hand are finished"),
            LogEvent(
                "the usual health and metrics port is taken, using another",
                "warning",
                ("reason", "instead"),
                "admin_listen",
            ),
            LogEvent("systemd cannot be notified", "warning", ("notify_socket", "error"), "It is not tried again"),
            LogEvent("systemd does not read its notifications", "warning", ("lost",), "The service goes on"),
        ),
    ),
)
"""All of them but cautions about the configuration, which are sentences of their own."""
