"""A customer sends from its own domains only; whoever guesses at others is shown the door."""

from mailwake.policy import CONT, DONE, Accept, ValidationContext, Verdict

DOMAINS = {"1042": {"shop.example"}, "1043": {"bank.example"}}


def validate_mailfrom(sender: str, accept: Accept, context: ValidationContext) -> Verdict:
    own = DOMAINS.get(context.connection.get("mo_customer_id") or "")
    domain = sender.rpartition("@")[2]
    if own is None:
        context.disconnect(421, "4.7.0 No customer of ours")
        return DONE
    if domain and domain.lower() not in own:
        context.set_code(550, f"5.7.1 {domain} is no domain of yours")
        return DONE
    return CONT
