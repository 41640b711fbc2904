"""Train the zstd dictionary of link arrays from the real URLs of the e-mail corpus and invented recipients.

    MAILWAKE_CORPUS=../shared/corpus python tools/train_link_dictionary.py [--measure] [--size OCTETS] OUTPUT

The result depends on the corpus, this file and the version of libzstd alone. Once a dictionary has been released it
must never change: train another one and give it the next number. `--measure` trains without a fifth of the hosts and
prints how long tokens with those hosts' URLs come out.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import os
import random
import re
import statistics
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import zstandard

from mailwake.links.dictionary import BodyCompressor, load_dictionary
from mailwake.links.token import LinkContext, LinkKind, link_array, message_id, pack_context

if TYPE_CHECKING:
    from collections.abc import Sequence

HREF = re.compile(rb"""(?i)href\s*=\s*["'](https?://[^"'<>\s]{4,400})["']""")
PERSONAL = re.compile(r"\d{4}|[0-9a-f]{8}|@|[A-Z0-9]{6}")
"""Stretches of a URL that may name a person, an order or a session: no such URL is trained on."""

MAX_URLS_A_HOST = 8
SAMPLES = 24_000
HELD_OUT_SAMPLES = 3_000

_VOCABULARY = tomllib.loads(Path(__file__).with_name("link_vocabulary.toml").read_text(encoding="utf-8"))
MAIL_HOSTS, TOP_LEVELS, FORENAMES, SURNAMES, WORDS, BRANDS, MEDIUMS, SOURCES, CONTENTS, TAGS, META_KEYS, META_VALUES = (
    text.split() for name, text in _VOCABULARY.items() if name != "link_names"
)
NAMES = _VOCABULARY["link_names"].split("|")


def main() -> None:
    """Train, and write or measure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("output", type=Path, nargs="?")
    options.add_argument("--size", type=int, default=8192)
    options.add_argument("--measure", action="store_true")
    chosen = options.parse_args()
    by_host = corpus_urls(Path(os.environ.get("MAILWAKE_CORPUS", "../shared/corpus")) / "html")
    if not by_host:
        sys.exit("no URLs found: set MAILWAKE_CORPUS to the corpus of e-mail HTML")
    if chosen.measure:
        measure(by_host, chosen.size)
    if chosen.output is not None:
        content = train(samples(by_host, random.Random(1), SAMPLES), chosen.size)
        if len(content) > chosen.size:
            sys.exit("the trained dictionary is larger than asked for")
        chosen.output.write_bytes(content)
        print(f"{chosen.output}: {len(content)} octets, sha256 {hashlib.sha256(content).hexdigest()}")


def corpus_urls(directory: Path) -> dict[str, list[str]]:
    """The corpus' URLs by host, at most a few of each, without those that may name a person."""
    found: dict[str, set[str]] = {}
    # Published templates only (t_, c_): the messages (m_) are somebody's mail, and some are spam.
    for path in sorted(directory.glob("[tc]_*.html")):
        for match in HREF.finditer(path.read_bytes()):
            url = html.unescape(match[1].decode("latin-1"))
            parts = urlsplit(url)
            if url.isascii() and not PERSONAL.search(url) and "." in parts.netloc:
                found.setdefault(parts.netloc.lower(), set()).add(url)
    return {host: sorted(urls)[:MAX_URLS_A_HOST] for host, urls in sorted(found.items())}


def train(arrays: Sequence[bytes | bytearray | memoryview], size: int) -> bytes:
    """A dictionary of at most `size` octets; the COVER algorithm with fixed parameters gives the same each time."""
    return zstandard.train_dictionary(size, list(arrays), k=128, d=6, level=5).as_bytes()


def samples(by_host: dict[str, list[str]], rng: random.Random, count: int) -> list[bytes]:
    """Link bodies as they are before compression, without the transmission id."""
    return [an_array(by_host, rng) for _ in range(count)]


def an_array(by_host: dict[str, list[str]], rng: random.Random) -> bytes:
    packed = pack_context(a_context(rng))
    if rng.random() < 0.1:
        return link_array(rng.choice([LinkKind.OPEN, LinkKind.INITIAL_OPEN]), packed)
    target = rng.choice(by_host[rng.choice(list(by_host))]) if rng.random() < 0.4 else an_invented_url(rng)
    if rng.random() < 0.5:
        target = with_campaign(target, rng)
    return link_array(LinkKind.CLICK, packed, target, rng.choice(NAMES) if rng.random() < 0.3 else "")


def a_context(rng: random.Random) -> LinkContext:
    milliseconds = rng.randrange(40_000_000_000, 400_000_000_000)
    transmission = milliseconds << 22 | rng.randrange(1 << 22)
    tags = rng.sample(TAGS, rng.randrange(1, 4)) if rng.random() < 0.3 else []
    return LinkContext(
        customer_id=rng.choice(["", "", str(rng.randrange(1, 5000)), rng.choice(BRANDS)]),
        transmission_id=transmission,
        message_id=message_id(transmission, 0 if rng.random() < 0.8 else rng.randrange(50)),
        sent=milliseconds // 1000 + 1_735_689_600,
        expires=rng.choice([31_536_000] * 8 + [2_592_000, 7_776_000]),
        recipient=a_recipient(rng),
        campaign_id=a_campaign(rng) if rng.random() < 0.6 else "",
        tags=tuple(tags),
        metadata=a_metadata(rng) if rng.random() < 0.4 else "",
    )


def a_recipient(rng: random.Random) -> str:
    # Frequent names stand only before example domains: no stretch of the dictionary may be somebody's address.
    joint = rng.choice(["", ".", ".", "_", "-"])
    number = str(rng.randrange(100)) if rng.random() < 0.4 else ""
    if rng.random() < 0.25:
        host = rng.choice(["example.com", "example.org", "example.net"])
        return f"{rng.choice(FORENAMES)}{joint}{rng.choice(SURNAMES)}{number}@{host}"
    host = rng.choice(MAIL_HOSTS) if rng.random() < 0.8 else a_host(rng)
    return f"{some_letters(rng, rng.randrange(1, 6))}{joint}{some_letters(rng, rng.randrange(3, 8))}{number}@{host}"


def a_campaign(rng: random.Random) -> str:
    joint = rng.choice("_-")
    words = rng.sample(WORDS, rng.randrange(1, 4))
    return joint.join([*words, *rng.choice([[], [str(rng.randrange(2025, 2032))], [f"{rng.randrange(1, 53):02}"]])])


def a_metadata(rng: random.Random) -> str:
    pairs = []
    for key in rng.sample(META_KEYS, rng.randrange(1, 7)):
        kind = rng.random()
        if kind < 0.35:
            value = str(rng.randrange(10 ** rng.randrange(2, 9)))
            pairs.append(f'"{key}":{value}' if rng.random() < 0.5 else f'"{key}":"{value}"')
        else:
            pairs.append(f'"{key}":"{rng.choice(META_VALUES) if kind < 0.8 else some_letters(rng, 8)}"')
    return "{" + ",".join(pairs) + "}"


def a_host(rng: random.Random) -> str:
    name = rng.choice(BRANDS) + rng.choice(["", "-", ""]) + (rng.choice(BRANDS + WORDS) if rng.random() < 0.6 else "")
    return f"{name.rstrip('-')}.{rng.choice(TOP_LEVELS)}"


def an_invented_url(rng: random.Random) -> str:
    sub = rng.choice(["www.", "www.", "www.", "", "shop.", "app.", "blog.", "news.", "click.", "help.", "go.", "my."])
    path = "/".join(rng.sample(WORDS, rng.randrange(4)))
    end = rng.choice(["", "/", ".html", f"/{rng.randrange(100_000)}", "-" + rng.choice(WORDS), ""]) if path else "/"
    query = rng.choice(["", "", "", "", f"?id={rng.randrange(100_000)}", "?ref=email", "?lang=en", "?utm_source=email"])
    return f"http{'s' if rng.random() < 0.95 else ''}://{sub}{a_host(rng)}/{path}{end}".rstrip("/") + query


def with_campaign(url: str, rng: random.Random) -> str:
    url, _, fragment = url.partition("#")
    pairs = [
        ("utm_source", rng.choice(SOURCES)),
        ("utm_medium", rng.choice(MEDIUMS)),
        ("utm_campaign", a_campaign(rng)),
    ]
    if rng.random() < 0.4:
        pairs.append(("utm_content", rng.choice(CONTENTS)))
    if rng.random() < 0.1:
        pairs.append(("utm_term", rng.choice(WORDS)))
    if rng.random() < 0.2:
        rng.shuffle(pairs)
    query = "&".join(f"{key}={value}" for key, value in pairs)
    return f"{url}{'&' if '?' in url else '?'}{query}{'#' + fragment if fragment else ''}"


def some_letters(rng: random.Random, count: int) -> str:
    # Only frequent letters, so that no stretch of it is worth a place in the dictionary.
    return "".join(rng.choice("eeettaaooiinnsshhrrdlcumwfgypbvk") for _ in range(count))


def measure(by_host: dict[str, list[str]], size: int) -> None:
    """Print token lengths for held-out hosts: plain, with the shipped dictionary, with one trained on the others."""
    hosts = sorted(by_host, key=lambda host: hashlib.sha256(host.encode()).digest())
    held_out = {host: by_host[host] for host in hosts[: len(hosts) // 5]}
    rest = {host: by_host[host] for host in hosts[len(hosts) // 5 :]}
    arrays = samples(held_out, random.Random(2), HELD_OUT_SAMPLES)
    report("no dictionary", [len(array) for array in arrays])
    shipped = BodyCompressor(load_dictionary(1))
    report("shipped", [len(shipped.compress(array)) for array in arrays])
    fresh = BodyCompressor(train(samples(rest, random.Random(1), SAMPLES), size))
    report(f"{size} octets", [len(fresh.compress(array)) for array in arrays])


def report(what: str, octets: list[int]) -> None:
    """One line: characters of the tokens whose compressed bodies have these lengths."""
    lengths = [((count + 26) * 4 + 2) // 3 for count in octets]
    print(f"{what:16} mean {statistics.mean(lengths):6.1f}  median {statistics.median(lengths):5}")


if __name__ == "__main__":
    main()
