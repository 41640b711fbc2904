"""The message that the benchmarks and scenarios send: a 25 KB multipart/alternative newsletter with 20 links."""

from __future__ import annotations

from benchmarks.corpus import encode_body

WORDS = (
    *("spring", "collection", "harbour", "window", "paper", "lantern", "market", "garden", "river", "bicycle"),
    *("morning", "letter", "bread", "kitchen", "winter", "train", "island", "mountain", "copper", "evening"),
    *("orchard", "linen", "story", "corner", "bridge", "painter", "summer", "atlas"),
)

MSYS_API = (
    '{"options" : {"open_tracking" : true, "click_tracking" : true},\r\n'
    '   "campaign_id" : "newsletter-47", "tags" : ["news", "spring"],\r\n'
    '   "metadata" : {"customer" : "4711", "list" : "readers"}}'
)


def newsletter(
    *,
    links: int = 20,
    size: int = 25_000,
    encoding: str = "8bit",
    msys_api: str = MSYS_API,
    html_links: int | None = None,
) -> bytes:
    """A newsletter of about `size` octets before it is encoded, CRLF line ends.

    `links` links, of which `html_links` (four fifths of them) are in its HTML and the others in its text; `encoding` is
    that of the HTML part.
    """
    in_text = links // 5 if html_links is None else links - html_links
    text = [f"Story {n}: https://news.example.org/story/{n}?issue=47&from=text" for n in range(in_text)]
    rows = [_story(number) for number in range(links - in_text)]
    head = (
        "<!DOCTYPE html>\r\n<html><head><title>Newsletter 47</title>\r\n<style>td{padding:0}</style></head>\r\n"
        '<body style="margin:0"><table role="presentation" width="100%">\r\n'
    )
    tail = "</table>\r\n</body></html>\r\n"
    html = head + "".join(rows) + tail
    while len(html) < size - 1_100:
        rows.append(f"<tr><td><p>{_words(len(html), 60)}</p>\r\n</td></tr>\r\n")
        html = head + "".join(rows) + tail
    body = encode_body(html.encode(), encoding).decode()
    return (
        'From: "The News" <news@sender.example>\r\nTo: reader@rcpt.example\r\n'
        "Subject: Newsletter 47: spring, and more\r\n"
        "Date: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <47@sender.example>\r\n"
        f"X-MSYS-API: {msys_api}\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="=_newsletter_47"\r\n\r\n'
        "--=_newsletter_47\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "\r\n".join(text)
        + "\r\n--=_newsletter_47\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--=_newsletter_47--\r\n"
    ).encode()


def _story(number: int) -> str:
    style = "font-family:Arial,sans-serif;font-size:14px;line-height:20px;color:#333333"
    url = f"https://news.example.org/story/{number}?issue=47&amp;from=html&amp;position={number}"
    return (
        f'<tr><td class="story" style="{style}">\r\n'
        f"<h2>{_words(number, 5)}</h2>\r\n<p>{_words(number, 40)}</p>\r\n"
        f'<p><a href="{url}" data-msys-linkname="story {number}" style="color:#0066cc;text-decoration:none">'
        "Read more</a></p>\r\n</td></tr>\r\n"
    )


def _words(seed: int, count: int) -> str:
    return " ".join(WORDS[(seed * 7 + n * 11 + n * n) % len(WORDS)] for n in range(count))


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(newsletter())
