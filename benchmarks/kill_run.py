"""Kill -9 of every worker in mid-load, again and again, with a ledger at both ends.

Senders and clickers never repeat anything, so that the books must balance exactly: every message that got its 250 has
each of its copies at the sink once (or in the spool), and every click that got its 302 has its event.
"""

from __future__ import annotations

import http.client
import os
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id, pack_context
from mailwake.links.tracked_url import click_url


@dataclass
class Ledger:
    """What was answered: message numbers with 250, click targets with 302, and how many attempts were cut off."""

    accepted: list[str] = field(default_factory=list)
    redirected: list[str] = field(default_factory=list)
    cut_off: int = 0


@dataclass
class Balance:
    """The books at the end; all four must be empty."""

    copies_missing: int
    copies_doubled: int
    events_missing: int
    wrong_answers: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or wrong."""
        return not (self.copies_missing or self.copies_doubled or self.events_missing or self.wrong_answers)


class Load:
    """Senders and clickers in threads, each thing sent once, until `stop()`; `message` gives a numbered message."""

    def __init__(
        self,
        smtp: tuple[str, int],
        tracker: tuple[str, int],
        codec: TokenCodec,
        message: Callable[[str], bytes],
        *,
        senders: int = 4,
        clickers: int = 4,
    ) -> None:
        self.ledger = Ledger()
        self.wrong_answers: list[str] = []
        self._smtp = smtp
        self._tracker = tracker
        self._codec = codec
        self._message = message
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(senders)]
        self._threads += [threading.Thread(target=self._click, args=(n,)) for n in range(clickers)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is in hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        count = 0
        client: smtplib.SMTP | None = None
        while not self._stop.is_set():
            count += 1
            number = f"s{sender}m{count}"
            recipients = [f"{number}r{n}@rcpt.example" for n in range(1 + count % 2)]
            try:
                if client is None:
                    client = smtplib.SMTP(*self._smtp, timeout=60)
                client.sendmail("news@sender.example", recipients, self._message(number))
            except (smtplib.SMTPException, OSError):
                client = None
                with self._lock:
                    self.ledger.cut_off += 1
                time.sleep(0.01)
            else:
                with self._lock:
                    self.ledger.accepted += recipients
        if client is not None:
            client.close()

    def _click(self, clicker: int) -> None:
        count = 0
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            count += 1
            target = f"https://www.example.org/c{clicker}/n{count}"
            url = self._url(target, clicker, count)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self._tracker, timeout=60)
                connection.request("GET", "/" + url.split("/", 3)[3])
                answer = connection.getresponse()
                answer.read()
            except (http.client.HTTPException, OSError):
                connection = None
                with self._lock:
                    self.ledger.cut_off += 1
                time.sleep(0.01)
            else:
                with self._lock:
                    if answer.status == 302 and answer.getheader("location") == target:
                        self.ledger.redirected.append(target)
                    else:
                        self.wrong_answers.append(f"{answer.status} {answer.getheader('location')} for {target}")
        if connection is not None:
            connection.close()

    def _url(self, target: str, clicker: int, count: int) -> str:
        transmission = clicker << 40 | count
        context = LinkContext("", transmission, message_id(transmission, 0), int(time.time()), 86400, "a@b.example")
        with self._lock:  # a codec serves one thread at a time
            token = self._codec.encode(LinkKind.CLICK, pack_context(context), target)
        return click_url("http", "localhost:8080", "a", token).decode()


def kill(pids: list[int]) -> None:
    """SIGKILL to these processes, which are ours."""
    for pid in pids:
        os.kill(pid, 9)


def balance(load: Load, at_sink: list[str], in_spool: list[str], event_targets: list[str]) -> Balance:
    """Compare what was answered with what is there; `at_sink` and `in_spool` are recipients, one for each copy."""
    copies = Counter(at_sink) + Counter(in_spool)
    recorded = set(event_targets)
    return Balance(
        copies_missing=sum(copies[recipient] == 0 for recipient in load.ledger.accepted),
        copies_doubled=sum(copies[recipient] > 1 for recipient in load.ledger.accepted),
        events_missing=sum(target not in recorded for target in load.ledger.redirected),
        wrong_answers=load.wrong_answers,
    )
