"""No tracking for recipients who must not be tracked, whatever the header says."""

from mailwake.policy import CONT, DONE, Accept, Message, ValidationContext, Verdict

UNTRACKED = ("authority.example", "hospital.example")


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    domain = message.routing_domain
    if domain in UNTRACKED or domain.endswith(tuple(f".{each}" for each in UNTRACKED)):
        context.set("smtpapi_open_tracking", "0")
        context.set("smtpapi_click_tracking", "0")
        return DONE
    return CONT
