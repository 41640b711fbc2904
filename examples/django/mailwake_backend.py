"""A Django e-mail backend that tracks opens and clicks: Django's own SMTP backend with `mailwake.track` in front.

settings.py:

    EMAIL_BACKEND = "mailwake_backend.EmailBackend"
    MAILWAKE = {
        "keys": "/var/lib/mailwake/keys.json",       # the same as the tracker's
        "tracking_domain": "links.example.com",      # and any other field of mailwake.TrackSettings
    }

A message says what is its own in an X-MSYS-API header, as with the service:

    EmailMultiAlternatives(..., headers={"X-MSYS-API": json.dumps({"campaign_id": "spring", "tags": ["news"]})})
"""

from __future__ import annotations

import smtplib
from dataclasses import replace

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.core.mail.message import sanitize_address

import mailwake


class EmailBackend(SmtpBackend):
    """Sends each recipient a copy with links of its own, in an SMTP transaction of its own.

    As with Django's backend, a message counts as sent when the server took it for at least one recipient, and
    SMTPRecipientsRefused is raised when it took it for none.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        try:
            options = dict(settings.MAILWAKE)
            self._keys = mailwake.read_keys(options.pop("keys"))
            self._settings = mailwake.TrackSettings(**options)
        except (AttributeError, KeyError, TypeError, mailwake.KeyringError, mailwake.TrackError) as error:
            raise ImproperlyConfigured(f"MAILWAKE in the settings: {error}") from error

    def _send(self, email_message):
        if not email_message.recipients():
            return False
        encoding = email_message.encoding or settings.DEFAULT_CHARSET
        sender = sanitize_address(email_message.from_email, encoding)
        message = email_message.message().as_bytes(linesep="\r\n")
        recipients = [sanitize_address(address, encoding) for address in email_message.recipients()]
        try:
            self._send_copies(sender, recipients, message)
        except (smtplib.SMTPException, mailwake.TrackError):
            if not self.fail_silently:
                raise
            return False
        return True

    def _send_copies(self, sender, recipients, message):
        refused, of_this_message = {}, self._settings
        for index, recipient in enumerate(recipients):
            copy = mailwake.track(message, recipient, replace(of_this_message, recipient_index=index), self._keys)
            # All copies of a message share its number, so that reports see one transmission.
            of_this_message = replace(of_this_message, transmission_id=copy.transmission_id)
            try:
                self.connection.sendmail(sender, [recipient], copy.content)
            except smtplib.SMTPRecipientsRefused as error:
                refused.update(error.recipients)
        if len(refused) == len(recipients):
            raise smtplib.SMTPRecipientsRefused(refused)
