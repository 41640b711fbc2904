"""Recipients of load tests are accepted, counted and thrown away; all others get a header field."""

from mailwake.policy import CONT, DONE, Accept, Message, ValidationContext, Verdict


def validate_data_spool_each_rcpt(message: Message, accept: Accept, context: ValidationContext) -> Verdict:
    if message.rcptto.endswith("@sink.example"):
        message.discard(f"a load test from {accept.remote_ip}")
        return DONE
    port = message.listener_addr.rpartition(":")[2]
    message.set_header("X-Received-Through", f"mailwake {port}", "append")
    return CONT
