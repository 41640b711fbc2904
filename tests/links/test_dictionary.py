from __future__ import annotations

import html
import os
import re
import statistics
from pathlib import Path

import pytest

from mailwake.links.dictionary import CURRENT_DICTIONARY, BodyCompressor, BodyExpander, load_dictionary
from mailwake.links.token import LinkContext, LinkKind, link_array, message_id, pack_context

CORPUS = Path(os.environ.get("MAILWAKE_CORPUS", Path(__file__).parents[3] / "shared" / "corpus")) / "html"


def test_the_dictionary_is_small_and_names_no_real_mailbox() -> None:
    content = load_dictionary(CURRENT_DICTIONARY)
    assert len(content) <= 16 * 1024
    # Frequent names stand before example domains only; what stands before real ones is letters drawn at random.
    for name in (b"smith", b"garcia", b"rossi", b"novak", b"meyer", b"chen", b"silva"):
        assert not re.search(name + rb"[0-9]*@(?!ex)[a-z]", content)


def test_an_unknown_dictionary_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_dictionary(9)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of e-mail HTML at {CORPUS}: set MAILWAKE_CORPUS")
def test_links_of_mail_it_was_not_trained_on_become_a_quarter_shorter() -> None:
    compressor, expander = BodyCompressor(load_dictionary(1)), BodyExpander(load_dictionary(1), 32 * 1024)
    hrefs = re.compile(rb"""(?i)href\s*=\s*["'](https?://[^"'<>\s]{4,4000})["']""")
    urls = {match for path in sorted(CORPUS.glob("m_*.html")) for match in hrefs.findall(path.read_bytes())}
    assert len(urls) > 50
    ratios = []
    for number, url in enumerate(sorted(urls)):
        transmission = number * 7_919_000_003 << 22
        context = LinkContext("17", transmission, message_id(transmission, 0), 0, 31_536_000, f"user{number}@gmail.com")
        array = link_array(LinkKind.CLICK, pack_context(context), html.unescape(url.decode("latin-1")))
        block = compressor.compress(array)
        assert expander.expand(block) == array
        ratios.append(len(block) / len(array))
    assert statistics.mean(ratios) < 0.75
