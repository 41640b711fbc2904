"""Messages made fit for servers without 8BITMIME or BINARYMIME: what changes, what stays, and what is refused."""

from __future__ import annotations

import contextlib
import email
from typing import TYPE_CHECKING

import pytest
from benchmarks.corpus import with_line_ends
from tests.rewrite.growth import grows_with_length

from mailwake.rewrite.body_encoding import Domain, base64_lines, quoted_printable
from mailwake.rewrite.charsets import LeftAlone
from mailwake.rewrite.transfer_conversion import ConversionImpossible, Converted, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.corpus import CorpusFile

SEVEN_BIT = Domain(eight_bit=False, any_lines=True)
SEVEN_BIT_LINES = Domain(eight_bit=False, any_lines=False)
EIGHT_BIT_LINES = Domain(eight_bit=True, any_lines=False)
DOMAINS = (SEVEN_BIT, SEVEN_BIT_LINES, EIGHT_BIT_LINES)

PNG = b"\x89PNG\r\n\x1a\n\0\0\r" + bytes(range(256)) * 4


def lines(*texts: str | bytes) -> bytes:
    """The texts as lines of a message; characters are written in UTF-8."""
    return b"".join((text.encode() if isinstance(text, str) else text) + b"\r\n" for text in texts)


def multipart(*parts: bytes, subtype: str = "mixed", label: str = "8bit") -> bytes:
    header = lines("MIME-Version: 1.0", f"Content-Type: multipart/{subtype}; boundary=b")
    header += lines(f"Content-Transfer-Encoding: {label}") if label else b""
    return header + b"\r\n" + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def refusal(content: bytes, domain: Domain = SEVEN_BIT) -> str:
    with pytest.raises(ConversionImpossible) as raised:
        convert(content, domain)
    return str(raised.value.reply)


def payloads(content: bytes) -> list[object]:
    return [part.get_payload(decode=True) for part in email.message_from_bytes(content).walk()]


# What needs nothing


@pytest.mark.parametrize("label", ["7bit", "8bit", "binary", ""])
def test_ascii_is_not_even_looked_at(label: str) -> None:
    content = multipart(lines("Content-Type: text/plain", "", "x" * 2000), label=label)
    assert convert(content, SEVEN_BIT) == Converted(content, 0, eight_bit_header=False)
    assert convert(content, SEVEN_BIT).content is content


def test_a_server_that_takes_everything() -> None:
    content = multipart(PNG, label="binary")
    assert convert(content, Domain(eight_bit=True, any_lines=True)).content is content


def test_eight_bit_lines_for_a_server_with_8bitmime() -> None:
    content = multipart(lines("Content-Transfer-Encoding: 8bit", "", "Grüße"))
    assert convert(content, EIGHT_BIT_LINES).content is content


# Bodies


def test_text_becomes_quoted_printable_and_every_other_octet_stays() -> None:
    content = lines(
        "Subject: x",
        "MIME-Version: 1.0",
        "Content-Type:   text/plain; charset=utf-8",
        "content-transfer-encoding :\t8BIT ",
        "X-Folded: a",
        "\tb",
        "",
        "Viele herzliche Grüße = many greetings ",
        "-- ",
        "--kein Rand",
        "x" * 80,
    )
    expected = lines(
        "Subject: x",
        "MIME-Version: 1.0",
        "Content-Type:   text/plain; charset=utf-8",
        "content-transfer-encoding :\tquoted-printable",
        "X-Folded: a",
        "\tb",
        "",
        "Viele herzliche Gr=C3=BC=C3=9Fe =3D many greetings=20",
        "=2D-=20",
        "=2D-kein Rand",
        "x" * 75 + "=",
        "x" * 5,
    )
    assert convert(content, SEVEN_BIT) == Converted(expected, 1, eight_bit_header=False)


def test_other_media_and_text_with_few_ascii_characters_become_base64() -> None:
    image = lines("Content-Type: image/png", "Content-Transfer-Encoding: 8bit") + b"\r\n\xff\xfe"
    russian = lines("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", "Привет всем")
    content = multipart(image, russian)
    expected = multipart(
        lines("Content-Type: image/png", "Content-Transfer-Encoding: base64") + b"\r\n//4=",
        lines("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64")
        + b"\r\n0J/RgNC40LLQtdGCINCy0YHQtdC8DQo=",
        label="7bit",
    )
    assert convert(content, SEVEN_BIT).content == expected


def test_a_part_that_says_nothing_or_7bit_gets_a_true_label() -> None:
    content = multipart(
        lines("", "Grüße aus Köln am Rhein"), lines("Content-Transfer-Encoding: 7bit", "", "Zürich, here")
    )
    expected = multipart(
        lines("Content-Transfer-Encoding: quoted-printable", "", "Gr=C3=BC=C3=9Fe aus K=C3=B6ln am Rhein"),
        lines("Content-Transfer-Encoding: quoted-printable", "", "Z=C3=BCrich, here"),
        label="7bit",
    )
    assert convert(content, SEVEN_BIT).content == expected


def test_a_part_with_nothing_but_ascii_is_only_labelled_anew() -> None:
    content = multipart(lines("Content-Transfer-Encoding: 8bit", "", "ascii"), lines("", "Grüße aus Köln am Rhein"))
    assert b"Content-Transfer-Encoding: 7bit\r\n\r\nascii\r\n" in convert(content, SEVEN_BIT).content


def test_a_folded_value_comes_onto_one_line() -> None:
    content = lines("Content-Transfer-Encoding:", " 8bit", "MIME-Version: 1.0", "", "Grüße aus Köln am Rhein")
    assert convert(content, SEVEN_BIT).content.startswith(b"Content-Transfer-Encoding: quoted-printable\r\nMIME")
    assert payloads(convert(content, SEVEN_BIT).content) == payloads(content)


def test_both_of_two_equal_fields_change() -> None:
    content = lines(*["Content-Transfer-Encoding: 8bit"] * 2, "MIME-Version: 1.0", "", "Grüße aus Köln am Rhein")
    assert convert(content, SEVEN_BIT).content.count(b"Encoding: quoted-printable\r\n") == 2


@pytest.mark.parametrize(
    ("body", "charset"), [("Grüße aus Köln am Rhein".encode(), "utf-8"), (b"Gr\xfc\xdfe aus Berlin", "unknown-8bit")]
)
def test_a_message_without_mime_becomes_mime(body: bytes, charset: str) -> None:
    converted = convert(lines("Subject: x", "", body), SEVEN_BIT).content
    message = email.message_from_bytes(converted)
    assert message["MIME-Version"] == "1.0"
    assert message["Content-Type"] == f"text/plain; charset={charset}"
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert message.get_payload(decode=True) == body + b"\r\n"


def test_an_encoded_body_with_stray_octets_is_repaired() -> None:
    text = lines("Content-Transfer-Encoding: quoted-printable", "", "Gr=C3=BCße at many places, and so=", "on")
    image = lines("Content-Type: image/gif", "Content-Transfer-Encoding: base64", "", b"R0lG\xe4ODlh")
    content = multipart(text, image, label="")
    converted = convert(content, SEVEN_BIT).content
    assert b"\r\n\r\nGr=C3=BC=C3=9Fe at many places, and soon\r\n\r\n--b" in converted
    assert b"\r\n\r\nR0lGODlh\r\n--b" in converted


def test_text_of_other_boundaries_cannot_become_one() -> None:
    part = lines("Content-Transfer-Encoding: 8bit", "", b"--x\xe4", "many characters of plain text")
    content = lines('Content-Type: multipart/mixed; boundary="x=E4"', "", "--x=E4") + part + lines("--x=E4--")
    converted = convert(content, SEVEN_BIT).content
    assert payloads(converted) == payloads(content)
    assert b"\r\n=2D-x=E4\r\n" in converted


# Composite parts


def test_messages_inside_are_converted_and_never_encoded() -> None:
    inner = lines("Subject: inner", "Content-Type: text/plain; charset=utf-8", "", "Grüße aus Köln am Rhein")
    content = multipart(lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit", "") + inner)
    converted = convert(content, SEVEN_BIT).content
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: inner\r\n" in converted
    assert b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln am Rhein\r\n" in converted
    assert payloads(converted) == payloads(content)


def test_parts_of_a_digest_are_messages() -> None:
    content = multipart(lines("", "Subject: x", "", "Grüße aus Köln am Rhein"), subtype="digest")
    assert b"\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\n" in convert(content, SEVEN_BIT).content


def test_an_internationalised_message_inside_is_encoded_as_a_whole() -> None:
    content = multipart(
        lines("Content-Type: message/global", "Content-Transfer-Encoding: 8bit", "", "Subject: Grüße", "", "x" * 40)
    )
    assert (
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: Gr=C3=BC" in convert(content, SEVEN_BIT).content
    )


def test_what_nobody_reads_is_made_ascii() -> None:
    content = multipart(lines("", "x"))
    content = content.replace(b"\r\n\r\n--b", "\r\n\r\nFür ältere Programme\r\n--b".encode(), 1) + "--bä\r\n".encode()
    converted = convert(content, SEVEN_BIT)
    assert b"\r\n\r\nF??r ??ltere Programme\r\n--b\r\n" in converted.content
    assert converted.content.endswith(b"--b--\r\n --b??\r\n")
    assert converted.encoded_parts == 0


# Header


def test_octets_in_the_header_stay_and_are_reported() -> None:
    content = lines("Subject: Grüße", "", "x")
    assert convert(content, SEVEN_BIT) == Converted(content, 0, eight_bit_header=True)


# Refusals


@pytest.mark.parametrize("subtype", ["signed", "encrypted"])
def test_sealed_parts_are_never_changed(subtype: str) -> None:
    sealed = multipart(lines("", "Grüße"), lines("", "signature"), subtype=subtype)
    reply = "550 5.6.3 Conversion required but not possible: the message is signed or encrypted"
    assert refusal(sealed) == reply
    assert refusal(multipart(sealed.replace(b"=b", b"=c").replace(b"--b", b"--c"))) == reply
    seven_bit = multipart(lines("Content-Transfer-Encoding: 8bit", "", "x"), subtype=subtype)
    beside = multipart(seven_bit.replace(b"=b", b"=c").replace(b"--b", b"--c"), lines("", "Grüße aus Köln am Rhein"))
    converted = convert(beside, SEVEN_BIT).content
    assert b"--c\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n" in converted


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lines("Content-Type: multipart/mixed", "", "ä"), "broken MIME, no boundary"),
        (lines("Content-Type: multipart/mixed; boundary=x", "", "ä"), "broken MIME, boundary not found"),
        (lines("Content-Type: multipart/mixed; boundary=x", "", "ä", "--x--"), "broken MIME, no parts"),
        (lines("Content-Type: text/html", "Content-Type: text/plain", "", "ä"), "broken MIME, contradicting header"),
        (lines("Content-Type: multipart/mixed; boundary=ä", "", "--ä", "", "x", "--ä--"), "a damaged boundary line"),
        (lines("Content-Transfer-Encoding: x-uuencode", "", "ä"), "a part with an unknown encoding"),
        (lines("Content-Type: message/partial; id=x", "", "ä"), "a message/ part that must not be encoded"),
        (
            lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "ä"),
            "a message/ part that must not be encoded",
        ),
        (lines("Subject: x", "ä"), "a line of the header is no field"),
        ("no header, just ä".encode(), "a line of the header is no field"),
        (b"Subject: x\nX: y\r\n\r\n\xe4", "a header line that is too long or not ended by CRLF"),
    ],
)
def test_what_cannot_be_trusted_is_refused(content: bytes, reason: str) -> None:
    assert refusal(content) == f"550 5.6.3 Conversion required but not possible: {reason}"


def test_damage_in_ascii_is_passed_on() -> None:
    content = multipart(lines("Content-Type: multipart/mixed", "", "x"), lines("", "Grüße aus Köln am Rhein"))
    assert b"--b\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n\r\n--b\r\n" in convert(content, SEVEN_BIT).content


# Binary


@pytest.mark.parametrize(("domain", "label"), [(SEVEN_BIT_LINES, "7bit"), (EIGHT_BIT_LINES, "8bit")])
def test_binary_parts(domain: Domain, label: str) -> None:
    binary = "Content-Transfer-Encoding: binary"
    content = multipart(
        lines("Content-Type: image/png", binary, "") + PNG,
        lines("Content-Type: text/plain", binary, "") + b"line feeds\nalone\n",
        lines("Content-Type: text/plain", binary, "", "x" * 999),
        lines("Content-Type: text/plain", binary, "", "short lines"),
        label="binary",
    )
    content = content.replace(b"\r\n\r\n--b", b"\r\n\r\na\nb\rc\0" + b"p" * 3000 + b"\n--b\n\r\n--b", 1)
    converted = convert(content, domain).content
    message = email.message_from_bytes(converted)
    _, *parts = message.walk()
    assert message["Content-Transfer-Encoding"] == label
    assert [part["Content-Transfer-Encoding"] for part in parts] == ["base64", "base64", "quoted-printable", label]
    assert [part.get_payload(decode=True) for part in parts] == [
        PNG, b"line feeds\nalone\n", b"x" * 999 + b"\r\n", b"short lines\r\n",
    ]  # fmt: skip
    assert converted.isascii()
    assert all(len(line) <= 998 for line in converted.split(b"\r\n"))
    assert not set(converted.replace(b"\r\n", b"")) & set(b"\r\n\0")


def test_a_boundary_between_line_feeds_is_data() -> None:
    image = lines("Content-Type: image/png", "Content-Transfer-Encoding: binary", "") + b"\n--b\nX: y\n\n--b--\n"
    converted = convert(multipart(image, label="binary"), EIGHT_BIT_LINES).content
    assert b"Content-Transfer-Encoding: base64\r\n\r\nCi0tYgpYOiB5CgotLWItLQo=\r\n--b--\r\n" in converted


def test_eight_bit_text_labelled_binary_stays_text() -> None:
    text = lines("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: binary", "", "Grüße")
    assert convert(text, EIGHT_BIT_LINES).content == text.replace(b"binary", b"8bit")


@pytest.mark.parametrize("header", [b"X: a\nb", b"X: a\rb", b"X: a\0b", b"X: " + b"a" * 996])
def test_a_header_is_lines_also_in_binary(header: bytes) -> None:
    assert "a header line that is too long" in refusal(header + b"\r\n\r\n" + b"x" * 1000, EIGHT_BIT_LINES)


def test_signed_binary_is_refused() -> None:
    assert "signed or encrypted" in refusal(multipart(b"\r\na\nb", subtype="signed"), EIGHT_BIT_LINES)


# All of it, over and over


def test_the_last_line_ends_where_the_text_did_not() -> None:
    text = b"Content-Type: text/plain\r\n\r\n" + "Grüße aus Köln am Rhein".encode()
    converted = convert(text, SEVEN_BIT).content
    assert converted.endswith(b"am Rhein=\r\n")
    assert payloads(converted) == payloads(text)


@pytest.mark.parametrize("domain", DOMAINS)
def test_corpus(corpus: Sequence[CorpusFile], domain: Domain) -> None:
    changed = 0
    for file in corpus:
        try:
            text = file.content if file.working_text.shifting_codec else with_line_ends(file.content)
        except LeftAlone:
            text = file.content
        head = lines(
            "Content-Type: text/html", f"Content-Transfer-Encoding: {'8bit' if domain.any_lines else 'binary'}", ""
        )
        content = multipart(head + text, lines("", "x"))
        if domain.any_lines and b"\r" in text.replace(b"\r\n", b""):
            continue
        converted = convert(content, domain)
        changed += converted.encoded_parts
        assert domain.holds(converted.content), file.name
        assert convert(converted.content, domain) == Converted(converted.content, 0, eight_bit_header=False)
        assert payloads(converted.content) == payloads(content), file.name
    assert changed > 5


def test_adversarial_snippets(adversarial: list[dict[str, str]]) -> None:
    for row in adversarial:
        html = row["html_latin1"].encode("latin-1")
        content = multipart(lines("Content-Type: text/html", "") + html)
        assert payloads(convert(content, SEVEN_BIT_LINES).content) == payloads(content)


# Encodings


@pytest.mark.parametrize("length", [74, 75, 76, 77, 150, 151])
@pytest.mark.parametrize("text", [b"x", b"-", b"=", b"\xe4", b" ", b"x-", b"--\xe4"])
def test_lines_of_quoted_printable_are_short(text: bytes, length: int) -> None:
    encoded = quoted_printable((text * length)[:length] + b"\r\nend")
    assert all(len(line) <= 76 and not line.startswith(b"--") for line in encoded.split(b"\r\n"))


def test_base64_lines() -> None:
    assert base64_lines(b"A" * 76) == b"A" * 76
    assert base64_lines(b"A" * 80, at_end=True) == b"A" * 76 + b"\r\nAAAA\r\n"


# Time

HOSTILE = {
    "octets": (b"\r\n", b"\xe4"),
    "text": (b"\r\n", b"abcdefghi\xe4"),
    "short lines": (b"\r\n", b"\xe4abcdefghij\r\n"),
    "hyphens": (b"\r\n\xe4", b"\r\n--"),
    "white space": (b"\r\n\xe4", b" "),
    "equals signs": (b"Content-Transfer-Encoding: quoted-printable\r\n\r\n\xe4", b"="),
    "base64": (b"Content-Transfer-Encoding: base64\r\n\r\n\xe4", b"A"),
    "parts": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--b\r\n\r\n\xe4\r\n"),
    "parts in parts": (b"", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
    "messages in messages": (b"", b"Content-Type: message/rfc822\r\n\r\n"),
    "almost boundaries": (b"Content-Type: multipart/mixed; boundary=-\r\n\r\n\xe4\r\n--\r\n", b"-"),
    "preamble": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"\xe4\n\r--"),
    "header": (b"", b"\xc3\xa4: x\r\n"),
    "fields": (b"", b"Content-Transfer-Encoding: \xe4\r\n"),
    "carriage returns": (b"\r\n", b"\n\r"),
}  # fmt: skip


@pytest.mark.parametrize(("head", "piece"), HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("domain", [SEVEN_BIT, SEVEN_BIT_LINES])
def test_time_grows_with_length(head: bytes, piece: bytes, domain: Domain) -> None:
    def work(content: bytes) -> None:
        with contextlib.suppress(ConversionImpossible):
            convert(content, domain)

    assert grows_with_length(work, head, piece, b"\xe4\r\n--b--\r\n")
