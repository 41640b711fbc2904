"""A configuration that is to replace the one in force: read, checked, compared, its sockets bound."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mailwake.errors import StartupError
from mailwake.logs import make_logger
from mailwake.service.cautions import cautions
from mailwake.service.changes import changed_settings
from mailwake.service.serve_request import complete, with_real_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.config.load import Configuration
    from mailwake.config.schema import Settings
    from mailwake.logs import LogFormat, LogLevel
    from mailwake.service.data_directory import DataDirectory
    from mailwake.service.generation import WorkerOrder
    from mailwake.service.ports import Bound, Ports
    from mailwake.service.serve_request import ServeRequest


class ConfigurationReloader:
    """Reads the configuration as it was read at the start; knows the one in force.

    `fixed` are the settings that cannot change any more (`fixed_settings`). After an upgrade there is no configuration
    in force: that of the former version is not ours to understand.
    """

    def __init__(
        self,
        request: ServeRequest,
        fixed: Mapping[str, Any],
        data: DataDirectory,
        ports: Ports,
        log_settings: tuple[LogFormat, LogLevel],
        in_force: Configuration | None = None,
    ) -> None:
        self.request = request
        self.fixed = fixed
        self.data = data
        self.ports = ports
        self.log_settings = log_settings
        """Those in force."""
        self.in_force = in_force

    async def read(self) -> ConfigurationChange:
        """The configuration as it stands now; MailwakeError, one line, for whatever keeps it from being used."""
        return await asyncio.to_thread(self._read)  # files and names are looked up, which may take its time

    def _read(self) -> ConfigurationChange:
        configuration = self.request.configuration()
        _refuse_fixed(self.fixed, fixed_settings(configuration.settings, self.data))
        configuration = complete(configuration, self.data)
        settings = configuration.settings
        bound = self.ports.bind(self.request.addresses(settings), self.request.access(settings))
        return ConfigurationChange(self, with_real_ports(configuration, bound), bound)


class ConfigurationChange:
    """A checked configuration with the sockets it wants; see `supervisor.Change`."""

    def __init__(self, reloader: ConfigurationReloader, configuration: Configuration, bound: Bound) -> None:
        settings = configuration.settings
        former = reloader.in_force
        self.log = make_logger(settings.log_format, settings.log_level)
        self.drain_seconds = settings.reload_drain
        self.facts: Mapping[str, Any] = {
            **({} if former is None else {"changed": changed_settings(former.settings, settings)}),
            "smtp": list(bound.names("smtp").values()),
            "tracker": list(bound.names("tracker").values()),
        }
        self._reloader = reloader
        self._configuration = configuration
        self._bound = bound

    @property
    def workers(self) -> Mapping[str, int]:
        """How many workers it wants, by role."""
        return self._reloader.request.workers(self._configuration.settings)

    def orders(self, numbers: Mapping[str, Sequence[int]]) -> list[WorkerOrder]:
        """Its workers, with these numbers by role."""
        reloader = self._reloader
        return reloader.request.orders(self._configuration, self._bound, reloader.data, numbers)

    def begin(self) -> None:
        """Have the new sockets listen."""
        self._bound.listen()

    def accept(self) -> None:
        """Take it as the configuration in force, and close the sockets of addresses that it does not have."""
        self._reloader.ports.keep(self._bound)
        self._reloader.in_force = self._configuration
        settings = self._configuration.settings
        self._reloader.log_settings = (settings.log_format, settings.log_level)
        if self._reloader.request.takes_mail:
            for caution in cautions(settings, datetime.now(UTC)):
                self.log.warning(caution)

    def refuse(self) -> None:
        """Close the sockets that were made for it."""
        self._bound.close_new()


def fixed_settings(settings: Settings, data: DataDirectory) -> dict[str, Any]:
    """What the supervisor itself, or every id that was ever made, hangs on."""
    return {
        "data_dir": str(settings.data_dir.absolute()),
        "node_id": data.node_id(settings.node_id),
        "admin_listen": settings.admin_listen,
    }


def _refuse_fixed(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    changed = [name for name in old if old[name] != new[name]]
    if changed:
        raise StartupError(f"{', '.join(changed)}: cannot change while mailwake runs; restart it, or set it back")
