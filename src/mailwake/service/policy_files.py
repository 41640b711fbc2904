"""The configured policy files, loaded: each worker has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.policy.policies import ConfiguredPolicy, Policies
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.verdict import PolicyError

if TYPE_CHECKING:
    from mailwake.config.schema import PolicyFile, Settings
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.policies import PolicyHost


def load_policies(settings: Settings, *, log: Logger, metrics: Metrics) -> Policies:
    """The policies in their order. Raises PolicyError, one line, for a file that cannot be used."""
    configured = [ConfiguredPolicy(_host(each, log), each.on_error, each.timeout) for each in settings.policy]
    return Policies(configured, log=log, metrics=metrics)


def _host(policy: PolicyFile, log: Logger) -> PolicyHost:
    suffix = policy.file.suffix.lower()
    if suffix == ".py":
        return PythonPolicy(policy.file)
    raise PolicyError(f"{policy.file}: is no policy; name a file that ends in .py or .lua")
