import pytest
from tests.conformance.test_smtp_server import LIMITS

from mailwake.smtp.envelope import Envelope
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension
from mailwake.smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_parameters
from mailwake.smtp.replies import Refusal
from mailwake.smtp.server_protocol import ServerProtocol


def refusal(text: str, *extensions: Extension, smtputf8: bool = False) -> str:
    with pytest.raises(Refusal) as raised:
        parse_parameters(text, {**MAIL_PARAMETERS, **RCPT_PARAMETERS}, extensions, smtputf8=smtputf8)
    return str(raised.value.reply)


def test_a_parameter_is_unknown_without_its_extension_whatever_its_value() -> None:
    assert refusal("SIZE=1").startswith("555 5.5.4 Parameter SIZE is not supported")
    assert refusal("SIZE=x").startswith("555 5.5.4")
    assert refusal("SIZE=x", Extension.SIZE).startswith("501 5.5.4")


def test_every_parameter_belongs_to_an_extension() -> None:
    for name, values in {**MAIL_PARAMETERS, **RCPT_PARAMETERS}.items():
        assert set(values) <= EVERY_EXTENSION, name
        assert values, name


def test_only_orcpt_is_ever_beyond_ascii() -> None:
    parsed = parse_parameters("ORCPT=utf-8;ë", RCPT_PARAMETERS, EVERY_EXTENSION, smtputf8=True)
    assert parsed == {"ORCPT": "utf-8;ë"}
    for text in ("NOTIFY=ſUCCESS", "ſIZE=1", "ENVID=ë", "ÖRCPT=utf-8;x"):
        assert refusal(text, *Extension, smtputf8=True) == "501 5.5.4 Parameters are ASCII"


def test_the_envelope_knows_what_was_asked_when_a_recipient_was_first_named() -> None:
    protocol = ServerProtocol("mx.example", LIMITS)
    lines = [
        "EHLO x",
        "MAIL FROM:<a@b> RET=hdrs ENVID=x+2by",
        "RCPT TO:<c@d> NOTIFY=never ORCPT=rfc822;old@d",
        "RCPT TO:<c@d> NOTIFY=SUCCESS",
        "RCPT TO:<e@f>",
        "RCPT TO:<e@f> NOTIFY=NEVER",
    ]
    protocol.receive_data("".join(f"{line}\r\n" for line in lines).encode())
    envelope: Envelope | None = None
    while (event := protocol.next_event()) is not None:
        envelope = getattr(event, "envelope", None)
        protocol.accept()
    assert envelope is not None
    assert envelope.recipients == ["c@d", "c@d", "e@f", "e@f"]
    asked = envelope.dsn_request("c@d")
    assert (asked.notify, asked.original_recipient) == ("NEVER", "rfc822;old@d")
    assert (asked.returned, asked.envelope_id) == ("HDRS", "x+2By")
    assert envelope.dsn_request("e@f").notify == ""
    assert set(envelope.requests) == {"c@d"}
