"""The campaign stands in X-Campaign, as many senders have it already; the header itself stays here."""

from mailwake.policy import CONT, Accept, Message, ValidationContext, Verdict


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    for campaign in message.header("X-Campaign")[:1]:
        context.set("smtpapi_campaign_id", campaign[:64])
        message.set_header("X-Campaign", mode="delete")
    return CONT
