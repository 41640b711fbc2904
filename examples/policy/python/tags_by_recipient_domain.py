"""A tag for each large mailbox provider, to compare how their readers open and click."""

import json

from mailwake.policy import CONT, Accept, Message, ValidationContext, Verdict

PROVIDERS = {
    "gmail.example": "gmail",
    "googlemail.example": "gmail",
    "outlook.example": "microsoft",
    "hotmail.example": "microsoft",
}


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    provider = PROVIDERS.get(message.routing_domain, "other")
    context.set("smtpapi_tags", json.dumps([f"provider {provider}"]))
    return CONT
