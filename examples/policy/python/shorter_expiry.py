"""Links that let somebody in are answered for a day, all others for 90 days."""

from mailwake.policy import CONT, Accept, Message, ValidationContext, Verdict

DAY = 24 * 60 * 60


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    subject = "".join(message.header("Subject")[:1]).lower()
    days = 1 if "password" in subject or "sign in" in subject else 90
    context.set("smtpapi_tracking_link_expiry", str(days * DAY))
    return CONT
