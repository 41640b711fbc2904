"""Bulk mail (it has List-Unsubscribe) must name its campaign."""

from mailwake.policy import CONT, DONE, Accept, Message, ValidationContext, Verdict


def validate_data_spool(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    if message.header("List-Unsubscribe") and not message.header("X-Campaign"):
        context.set_code(550, "5.7.1 Bulk mail needs an X-Campaign header")
        return DONE
    return CONT
