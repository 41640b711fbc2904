"""Each customer's links go over a host name of its own."""

from mailwake.policy import CONT, Accept, Message, ValidationContext, Verdict

HOSTS = {"1042": "links.shop.example", "1043": "click.bank.example"}


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    host = HOSTS.get(context.connection.get("mo_customer_id") or "")
    if host is not None:
        context.set("smtpapi_tracking_domain", host)
        context.set("smtpapi_click_tracking_scheme", "https")
        context.set("smtpapi_open_tracking_scheme", "https")
    return CONT
