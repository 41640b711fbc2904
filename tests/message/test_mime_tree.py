"""The MIME tree as spans over the original bytes."""

from __future__ import annotations

import pytest

from mailwake.message.mime_tree import MAX_DEPTH, MAX_PARTS, Part, parameters, parse, parse_inside

NESTED = b"""\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative;
 boundary=outer-in

--outer-in
Content-Type: Text/Plain; Charset="ISO-8859-1"; format=flowed
Content-Transfer-Encoding: Quoted-Printable

plain
--outer-in
Content-Type: text/html; charset=utf-8
Content-Disposition: INLINE

<p>html</p>
--outer-in--
--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/mixed; boundary=x

--x
--outer
Content-Type: image/png; name="a;b.png"
Content-Disposition: attachment; filename=a.png
Content-Transfer-Encoding: base64

AAAA
--outer--
epilogue
""".replace(b"\n", b"\r\n")


def bodies(content: bytes, part: Part) -> list[tuple[str, bytes, bytes]]:
    return [(p.number, p.content_type, content[p.body_start : p.end]) for p in part.walk() if not p.is_multipart]


def test_nested_parts() -> None:
    root = parse(NESTED)
    assert bodies(NESTED, root) == [
        ("1.1", b"text/plain", b"plain"),
        ("1.2", b"text/html", b"<p>html</p>"),
        ("2", b"message/rfc822", b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x"),
        ("3", b"image/png", b"AAAA"),
    ]
    plain, html = root.parts[0].parts
    assert (plain.charset, plain.transfer_encoding, plain.parameters[b"format"]) == (
        b"iso-8859-1",
        b"quoted-printable",
        b"flowed",
    )
    assert (html.disposition, html.transfer_encoding, html.has_file_name) == (b"inline", b"", False)
    assert root.parts[2].disposition == b"attachment"
    assert root.parts[2].has_file_name
    assert not any(part.broken for part in root.walk())


def test_bare_line_feeds() -> None:
    content = NESTED.replace(b"\r\n", b"\n")
    assert [body.replace(b"\n", b"\r\n") for _, _, body in bodies(content, parse(content))] == [
        body for _, _, body in bodies(NESTED, parse(NESTED))
    ]


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n", "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=\r\n\r\n--b\r\n", "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts\r\n", "boundary not found"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n", ""),
        (b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\nx", "contradicting header"),
        (b"Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n\r\nx", "contradicting header"),
        (b"Content-Type: text/html\r\ncontent-type: TEXT/html\r\n\r\nx", ""),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx", ""),
        (b"", ""),
    ],
)
def test_what_cannot_be_understood_says_why(content: bytes, broken: str) -> None:
    assert parse(content).broken == broken


def test_a_missing_last_boundary_is_no_fault() -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n"
    root = parse(content)
    assert root.unclosed
    assert [body for _, _, body in bodies(content, root)] == [b"x", b"y\r\n"]


def test_boundaries_that_start_alike() -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\n--bb\r\nx --b\r\n--b--x\r\n--b--"
    assert bodies(content, parse(content)) == [("1", b"text/plain", b"--bb\r\nx --b\r\n--b--x")]


def test_digest_and_header_without_body() -> None:
    parts = b"--b\r\n\r\nFrom: x\r\n--b\r\nContent-Type: text/plain\r\n--b--"
    content = b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + parts
    first, second = parse(content).parts
    assert first.content_type == b"message/rfc822"
    assert (second.content_type, second.body_start) == (b"text/plain", second.end)


def test_depth_and_number_of_parts_are_bounded() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
        for depth in range(MAX_DEPTH * 2)
    )
    assert [part.broken for part in parse(deep).walk()][-1] == "nested too deep"
    assert sum(1 for _ in parse(deep).walk()) == MAX_DEPTH + 1
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (MAX_PARTS * 3)
    assert parse(many).broken == "too many parts"
    assert len(parse(many).parts) < MAX_PARTS


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'a/b; x="y; boundary=no"; boundary=yes', {b"x": b"y; boundary=no", b"boundary": b"yes"}),
        (b'a/b; x="a\\"b\\\\"', {b"x": b'a"b\\'}),
        (b"a/b;x=1;X=2; ;y", {b"x": b"1"}),
        (b'a/b; x="open', {b"x": b"open"}),
        (b"a/b; x = 1 ; y= 2", {b"x": b"1", b"y": b"2"}),
        (b"a/b", {}),
    ],
)
def test_parameters(value: bytes, found: dict[bytes, bytes]) -> None:
    assert parameters(value) == found


def test_where_line_feeds_end_no_line() -> None:
    header = b"Content-Type: multipart/mixed; boundary=b\r\nX: a\n\nb\r\n"
    content = header + b"\r\n--b\r\n\r\n1\n--b\n2\r\n--b \r\n\r\n3\n--b--\n\r\n--b--\r\n"
    root = parse(content, crlf_only=True)
    assert content[: root.header_end] == header
    assert [content[part.body_start : part.end] for part in root.parts] == [b"1\n--b\n2", b"3\n--b--\n"]
    assert not root.unclosed


def test_boundaries_between_crlfs_are_the_same_ones_either_way() -> None:
    content = NESTED.replace(b"\n", b"\r\n")
    assert parse(content, crlf_only=True) == parse(content)


def test_a_message_inside_is_read_where_it_stands() -> None:
    inner = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c--"
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--b--"
    )
    (outer,) = parse(content).parts
    inside = parse_inside(content, outer, 1)
    assert content[inside.start : inside.end] == inner
    assert [(part.number, content[part.body_start : part.end]) for part in inside.parts] == [("1.1", b"1")]
    assert parse_inside(content, outer, MAX_DEPTH - 1).broken == "nested too deep"
