"""The errors a person may see: each message is one line that says what was wrong, where, and what to do."""

from __future__ import annotations


class MailwakeError(Exception):
    """Something the operator can understand and act on; its text is one line and is shown without a traceback."""


class SettingError(MailwakeError):
    """A setting that cannot be used: an unknown name, a value of the wrong kind, two that contradict each other."""


class StartupError(MailwakeError):
    """The service cannot start: a port that is taken, a directory that cannot be written, a missing file."""
