"""Accounts are named CUSTOMER-PURPOSE, as in 1042-newsletter: the customer is what stands before the hyphen."""

import re

from mailwake.policy import CONT, DONE, Accept, ValidationContext, Verdict


def validate_auth(user: str, accept: Accept, context: ValidationContext) -> Verdict:
    customer = re.match(r"([0-9]+)-", user)
    if customer is None:
        context.set_code(535, "5.7.8 Accounts are named CUSTOMER-PURPOSE")
        return DONE
    context.set("mo_customer_id", customer[1])
    return CONT
