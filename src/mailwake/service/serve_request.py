"""What `mailwake serve` was asked to do: the same at the start and at every reload, only the file may differ."""

from __future__ import annotations

import base64
import fcntl
import functools
import os
import pickle
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from mailwake.config.kinds import listen_address, normal_listen_address
from mailwake.config.scope_settings import Listen
from mailwake.config.tracker_settings import TrackerListen
from mailwake.errors import StartupError
from mailwake.links.keyring_file import KeyringFile
from mailwake.service.event_privacy import event_privacy
from mailwake.service.generation import WorkerOrder
from mailwake.service.parts import check_parts
from mailwake.service.tracker_parts import check_tracker_parts
from mailwake.service.unix_sockets import FileAccess, path_of
from mailwake.service.worker_orders import ROLE_NUMBERS, WorkerOrders
from mailwake.sinks.make import check_sinks
from mailwake.store.make import check_store
from mailwake.webhooks.configured import check_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.config.load import Configuration
    from mailwake.config.schema import Settings
    from mailwake.service.data_directory import DataDirectory
    from mailwake.service.ports import Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """`read` reads the configuration, command line included; `smtp`, `tracker`, `api` replace configured addresses.

    A listen scope of the same address keeps its options. `role` is all, smtp, tracker or collector; smtp and tracker
    alone have a collector, too, as what they record has to be read where it stands.
    """

    read: Callable[[], Configuration]
    smtp: Sequence[str] | None
    tracker: Sequence[str] | None
    api: Sequence[str] | None = None
    role: str
    demo: bool

    def configuration(self) -> Configuration:
        """The configuration as it is now, checked with the files it names; MailwakeError, one line, if it is wrong.

        What is left to check needs the data directory (`complete`) and the network (`Ports.bind`).
        """
        configuration = self.read()
        settings = self._with_flags(configuration.settings)
        if self.takes_mail and not self.demo and not settings.relay.hops:
            raise StartupError(
                "no next hop: name the mail server that takes the copies (--next-hop HOST:PORT, or relay.next_hop in "
                "the configuration), or try mailwake without one: mailwake serve --demo"
            )
        if self.takes_mail:
            check_parts(settings, demo=self.demo)
        if self.role in ("all", "tracker"):
            check_tracker_parts(settings)
        check_sinks(settings.sinks)
        check_store(settings.store)
        check_webhooks(settings)
        if any(count > ROLE_NUMBERS[role] for role, count in worker_counts(settings).items()):
            limits = " and ".join(f"{ROLE_NUMBERS[role]} {role}" for role in ("smtp", "tracker"))
            raise StartupError(f"workers: at most {limits} workers fit one node")
        return replace(configuration, settings=settings)

    @property
    def modules(self) -> list[str]:
        """What its workers need to have loaded."""
        roles = ["smtp", "tracker", "collector"] if self.role == "all" else list({self.role: "", "collector": ""})
        return ["mailwake.service.worker_main", *(f"mailwake.service.{role}_worker" for role in roles)]

    @property
    def takes_mail(self) -> bool:
        """Whether there are SMTP workers."""
        return self.role in ("all", "smtp")

    def addresses(self, settings: Settings) -> list[tuple[str, list[str], int]]:
        """For each role its addresses, none if it is not served, and how many workers share them."""
        counts = worker_counts(settings)
        smtp = list(settings.esmtp_listener.listen) if self.takes_mail else []
        tracker = list(settings.tracker.listen) if self.role in ("all", "tracker") else []
        api = list(dict.fromkeys(settings.api.listen))
        return [("smtp", smtp, counts["smtp"]), ("tracker", tracker, counts["tracker"]), ("collector", api, 1)]

    def access(self, settings: Settings) -> dict[str, FileAccess]:
        """Who may connect to the Unix sockets among the addresses."""
        return {
            address: FileAccess(int(listen.socket_mode or "0660", 8), listen.socket_group)
            for table in (settings.esmtp_listener.listen, settings.tracker.listen)
            for address, listen in table.items()
            if path_of(address) is not None
        }

    def workers(self, settings: Settings) -> dict[str, int]:
        """How many workers are wanted, by role."""
        return {role: count if addresses else 0 for role, addresses, count in self.addresses(settings)}

    def orders(
        self,
        configuration: Configuration,
        bound: Bound,
        data: DataDirectory,
        numbers: Mapping[str, Sequence[int]],
    ) -> list[WorkerOrder]:
        """The orders for workers with these numbers by role."""
        pickled = base64.b64encode(pickle.dumps(configuration)).decode()
        made = []
        for role, of_role in numbers.items():
            for index, number in enumerate(of_role):
                sockets = bound.of_worker(role, index, len(of_role))
                orders = WorkerOrders(
                    role=role,
                    number=number,
                    listen=[(name, each.fileno()) for name, each in sockets],
                    data_dir=str(data.path),
                    demo=self.demo,
                    configuration=pickled,
                    output=_standard_output() if role == "collector" else -1,
                )
                made.append(WorkerOrder(role, number, orders.encode(), orders.descriptors))
        return made

    def _with_flags(self, settings: Settings) -> Settings:
        if self.smtp:
            configured = settings.esmtp_listener.listen
            listen = {each: configured.get(each, Listen()) for each in _listen_addresses(self.smtp, "--smtp")}
            settings = replace(settings, esmtp_listener=replace(settings.esmtp_listener, listen=listen))
        if self.tracker:
            known = settings.tracker.listen
            of = {each: known.get(each, TrackerListen()) for each in _listen_addresses(self.tracker, "--tracker")}
            settings = replace(settings, tracker=replace(settings.tracker, listen=of))
        if self.api:
            settings = replace(settings, api=replace(settings.api, listen=tuple(self.api)))
        return settings


@functools.cache
@cache
def _standard_output() -> int:
    """One duplicate for all children, whose own standard output is the pipe of their reports; -1 when it is closed."""
    try:
        return fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return -1


def _listen_addresses(texts: Sequence[str], flag: str) -> list[str]:
    found = []
    for text in texts:
        try:
            found.append(normal_listen_address(text))
        except ValueError:
            raise StartupError(f"{flag}: {text!r} cannot be used; give {listen_address().allowed}") from None
    return found


def worker_counts(settings: Settings) -> dict[str, int]:
    """The workers of each role; as many as there are CPUs, where the settings leave it open."""
    workers = settings.workers or os.cpu_count() or 1
    return {"smtp": workers, "tracker": settings.tracker.workers or workers, "collector": 1}


def complete(configuration: Configuration, data: DataDirectory) -> Configuration:
    """The configuration with what the data directory adds; makes keys where there are none yet."""
    settings = configuration.settings
    if not settings.keys.secrets:
        KeyringFile(data.keys).load_or_create()
    event_privacy(settings.privacy, data)
    return replace(configuration, settings=replace(settings, node_id=data.node_id(settings.node_id)))


def with_real_ports(configuration: Configuration, bound: Bound) -> Configuration:
    """The configuration with port 0 replaced by what the system chose, so that scopes find their listener."""
    listener = configuration.settings.esmtp_listener
    listen = {real: listener.listen[address] for address, real in bound.names("smtp").items()}
    listener = replace(listener, listen=listen or listener.listen)
    tracker = configuration.settings.tracker
    served = {real: tracker.listen[address] for address, real in bound.names("tracker").items()}
    tracker = replace(tracker, listen=served or tracker.listen)
    return replace(configuration, settings=replace(configuration.settings, esmtp_listener=listener, tracker=tracker))
