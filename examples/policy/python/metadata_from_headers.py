"""X-Order and X-Shop come back with every click, as metadata."""

import json

from mailwake.policy import CONT, Accept, Message, ValidationContext, Verdict

FIELDS = {"X-Order": "order", "X-Shop": "shop"}


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    metadata = {key: value for field, key in FIELDS.items() for value in message.header(field)[:1]}
    if metadata:
        context.set("smtpapi_metadata", json.dumps(metadata, separators=(",", ":"), ensure_ascii=False))
    return CONT
