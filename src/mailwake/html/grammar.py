"""The patterns of the HTML tokenizer (WHATWG HTML §13.2.5), as possessive regular expressions over bytes.

Possessive quantifiers never give back what they took, so each pattern is linear on any input. They are right for every
charset whose bytes below 0x40 mean ASCII wherever they stand; `charsets.py` turns the others into UTF-8 first.
"""

from __future__ import annotations

import re

RAW_TEXT_ELEMENTS = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext")
"""Elements whose content is text up to their end tag (§13.2.6.2); `noscript` is not one, for mail runs no scripts."""


def _any_case(word: str) -> str:
    """`word` in any case without the IGNORECASE flag, which would make all of a pattern slower."""
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else re.escape(letter) for letter in word)


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("ascii"))


_WS = r"\t\n\f\r "
_END_OF_NAME = rf"(?=[{_WS}/>])"
# Quotes open a value only right after '='; `<a href=>` has an empty value (§13.2.5.33 – 13.2.5.38).
_ATTRIBUTE_VALUE = rf"=[{_WS}]*+(?:\"[^\"]*+\"|'[^']*+'|[^{_WS}>\"'][^{_WS}>]*+|(?=>))"
_ATTRIBUTE = rf"[^{_WS}/>][^{_WS}/>=]*+(?:[{_WS}]*+{_ATTRIBUTE_VALUE}|(?![{_WS}]*+=))"
_USUAL_ATTRIBUTE = rf"[{_WS}]++[a-zA-Z-]++=\"[^\"]*+\""
# What nearly all attributes look like is tried first, which makes the scan a third faster and changes nothing it finds.
_ATTRIBUTES = rf"(?:>|(?:{_USUAL_ATTRIBUTE})*+(?:[{_WS}/]++|{_ATTRIBUTE})*+>)"
_CAPTURED_VALUE = rf"(?:[{_WS}]*+=[{_WS}]*+(?:\"([^\"]*+)\"|'([^']*+)'|([^{_WS}>\"'][^{_WS}>]*+)|(?=>))|(?![{_WS}]*+=))"

_HREF = rf"{_any_case('href')}(?=[{_WS}/>=])"
_ATTRIBUTES_WITH_HREF = (
    rf"(?:[{_WS}/]++|(?!{_HREF}){_ATTRIBUTE})*+"
    rf"(?:({_HREF}){_CAPTURED_VALUE})?+"
    rf"{_ATTRIBUTES}"
)

_CONDITION = rf"(?=\[{_any_case('if')}\b)"
_COMMENT_REST = r"(?:-?>|(?:[^-]++|-(?!-!?>))*+--!?>)"
_COMMENT = rf"<!--{_COMMENT_REST}"
_BOGUS_COMMENT = r"<(?:!(?!--)|\?)[^>]*+>|</(?:>|[^a-zA-Z>][^>]*+>)"
_LONE_LESS_THAN = r"<(?![a-zA-Z!?/])"

_RAW = "|".join(_any_case(name) for name in RAW_TEXT_ELEMENTS)
_LINK = f"{_any_case('a')}(?:{_any_case('rea')})?+"
_CONTEXT = "|".join(_any_case(name) for name in ("svg", "math", "template", "frameset"))
_BODY, _HTML = _any_case("body"), _any_case("html")

# The tags that make up most of a mail, for speed alone: the general patterns below find the same.
_USUAL_TAGS = rf"</[ac-gi-z][a-z0-9]*+>|<(?:t[dr]|p|div|span|br|img)(?:{_USUAL_ATTRIBUTE})*+ ?+/?+>"

_UNINTERESTING = (
    rf"(?:[^<]++|{_USUAL_TAGS}"
    rf"|<(?!(?:{_LINK}|{_BODY}|{_CONTEXT}|{_RAW}){_END_OF_NAME})[a-zA-Z][^{_WS}/>]*+{_ATTRIBUTES}"
    rf"|</(?!(?:{_BODY}|{_HTML}){_END_OF_NAME})[a-zA-Z][^{_WS}/>]*+{_ATTRIBUTES}"
    rf"|<!--(?!{_CONDITION}){_COMMENT_REST}|{_BOGUS_COMMENT}|{_LONE_LESS_THAN})*+"
)

UNINTERESTING = _compile(_UNINTERESTING)
"""All up to the next thing that NEXT reports, or up to a construct that never ends."""

NEXT = _compile(
    _UNINTERESTING + "(?:"
    rf"<({_LINK}){_END_OF_NAME}{_ATTRIBUTES_WITH_HREF}()"  # 1 name, 2 the word href, 3–5 its value, 6
    rf"|<!--(?={_CONDITION})({_COMMENT_REST})"  # 7
    rf"|<({_RAW}){_END_OF_NAME}{_ATTRIBUTES}"  # 8
    rf"|(<{_BODY}{_END_OF_NAME}{_ATTRIBUTES})"  # 9
    rf"|(</{_BODY}{_END_OF_NAME}{_ATTRIBUTES})"  # 10
    rf"|(</{_HTML}{_END_OF_NAME}{_ATTRIBUTES})"  # 11
    rf"|<({_CONTEXT}){_END_OF_NAME}{_ATTRIBUTES}"  # 12
    r"|(\Z))"  # 13
)
"""Skips what is UNINTERESTING and matches what follows; `lastindex` says what it is. No match: it never ends."""
LINK, CONDITIONAL_COMMENT, RAW_TEXT, BODY_START, BODY_END, HTML_END, CONTEXT, AT_END = (
    6, 7, 8, 9, 10, 11, 12, 13,
)  # fmt: skip

ATTRIBUTE = _compile(rf"[{_WS}/]*+([^{_WS}/>][^{_WS}/>=]*+){_CAPTURED_VALUE}")
"""One attribute with what stands before it: 1 name, 2 value in double quotes, 3 in single quotes, 4 without quotes."""

_OPTION = (
    f"{_any_case('data-msys-')}(?:{_any_case('linkname')}|{_any_case('clicktrack')}|{_any_case('unsubscribe')}"
    rf"|{_any_case('sublink')})(?=[{_WS}/>=])"
)
OPTION = _compile(rf"((?:[{_WS}/]*+(?!{_OPTION}){_ATTRIBUTE})*+)[{_WS}/]*+({_OPTION}){_CAPTURED_VALUE}")
"""The next attribute for the tracking system: 1 all attributes before it, 2 its name, 3–5 its value."""

RAW_TEXT_END = {
    name.encode(): _compile(rf"</{_any_case(name)}{_END_OF_NAME}")
    for name in RAW_TEXT_ELEMENTS
    if name not in ("script", "plaintext")
}
"""The end tag of each raw text element, by its name."""

_SCRIPT_END = rf"</{_any_case('script')}{_END_OF_NAME}"
SCRIPT_DATA = _compile(rf"(<!--)|{_SCRIPT_END}")
SCRIPT_DATA_ESCAPED = _compile(rf"(-->)|{_SCRIPT_END}|(<{_any_case('script')}{_END_OF_NAME})")
SCRIPT_DATA_DOUBLE_ESCAPED = _compile(rf"(-->)|{_SCRIPT_END}")

_TAG = rf"<(/?)([a-zA-Z][^{_WS}/>]*+){_ATTRIBUTES}"
TAG_IN_HTML = _compile(rf"(?:[^<]++|{_COMMENT}|{_BOGUS_COMMENT}|{_LONE_LESS_THAN})*+{_TAG}")
"""The next tag of any name: 1 "/" for an end tag, 2 name."""
_CDATA = r"<!\[CDATA\[((?:[^\]]++|\](?!\]>))*+)\]\]>"
_TOKEN = (
    rf"((?:[^<]++|{_LONE_LESS_THAN})++)"  # 1 text
    rf"|<!--(?={_CONDITION})({_COMMENT_REST})"  # 2
    rf"|</([a-zA-Z][^{_WS}/>]*+){_ATTRIBUTES}"  # 3 the name of an end tag
    rf"|<([a-zA-Z][^{_WS}/>]*+){_ATTRIBUTES}"  # 4 the name of a start tag
    rf"|{_COMMENT}"
)
TOKEN_IN_HTML = _compile(rf"{_TOKEN}|{_BOGUS_COMMENT}")
TOKEN_IN_FOREIGN = _compile(rf"{_TOKEN}|{_CDATA}|(?!<!\[CDATA\[)(?:{_BOGUS_COMMENT})")
"""One token; inside svg and math are the only places where there are CDATA sections (§13.2.5.42)."""
TOKEN_TEXT, TOKEN_CONDITIONAL_COMMENT, TOKEN_END_TAG, TOKEN_START_TAG, TOKEN_CDATA = 1, 2, 3, 4, 5

_QUIRKY_PUBLIC_ID = (
    r"(?i:\+//silmaril|-//(?:as|advasoft ltd|ietf|metrius|microsoft|netscape comm\. corp\.|o'reilly and associates"
    r"|softquad(?: software)?|spyglass|sq|sun microsystems corp\.|w3o|webtechs)//|-//w3c//dtd (?:html (?:3|experimental"
    r"|4\.0 (?:frameset|transitional))|w3 html)|-//w3c//dtd html 4\.01 (?:frameset|transitional)//[^\"'>]*+[\"']\s*+>"
    r"|html[\"']|-/w3c/dtd html 4\.0 transitional/en[\"'])"
)
_QUOTED = r"(?:\"[^\">]*+\"|'[^'>]*+')"
_IDENTIFIERS = (
    rf"(?i:public)[{_WS}]*+(?![\"']{_QUIRKY_PUBLIC_ID}){_QUOTED}[{_WS}]*+(?:>|{_QUOTED})"
    rf"|(?i:system)[{_WS}]*+(?!.http://www\.ibm\.com/data/dtd/v11/ibmxhtml1-transitional\.dtd){_QUOTED}"
)
STANDARDS_MODE = _compile(
    rf"(?:\xef\xbb\xbf)?+(?:[{_WS}]++|{_COMMENT}|(?!<!(?i:doctype))(?:{_BOGUS_COMMENT}))*+"
    rf"<!(?i:doctype)[{_WS}]*+(?i:html)(?:[{_WS}]*+>|[{_WS}]++(?:{_IDENTIFIERS}))"
)
"""A document type that does not mean quirks mode (§13.2.6.4.1): only then does a table end a paragraph."""

VML_OR_LINK = _compile(
    rf"(?:[^<]++|{_BOGUS_COMMENT}|{_LONE_LESS_THAN}|<!--"
    rf"|</?+(?!(?:{_LINK}|[vV]:[a-zA-Z]++){_END_OF_NAME})[a-zA-Z][^{_WS}/>]*+{_ATTRIBUTES}"
    rf"|</(?:{_LINK}|[vV]:[a-zA-Z]++){_END_OF_NAME}{_ATTRIBUTES})*+"
    rf"<({_LINK}|[vV]:[a-zA-Z]++){_END_OF_NAME}{_ATTRIBUTES_WITH_HREF}"
)
"""Inside a conditional comment, the next link or VML shape: 1 name, 2 the word href, 3–5 its value."""

HEAD = _compile(
    rf"(?:\xef\xbb\xbf)?+(?:[{_WS}]++|{_COMMENT}|<![^>]*+>|<\?[^>]*+>"
    rf"|<(?:{_any_case('style')}){_END_OF_NAME}{_ATTRIBUTES}(?:[^<]++|<(?!/{_any_case('style')}))*+</{_any_case('style')}\s*+>"
    rf"|<(?:{_any_case('title')}){_END_OF_NAME}{_ATTRIBUTES}(?:[^<]++|<(?!/{_any_case('title')}))*+</{_any_case('title')}\s*+>"
    rf"|<script{_END_OF_NAME}{_ATTRIBUTES}(?:[^<]++|<(?!/script|!--))*+</script\s*+>"
    rf"|</?+(?:{_HTML}|{_any_case('head')}|{_any_case('meta')}|{_any_case('link')}|{_any_case('base')}){_END_OF_NAME}{_ATTRIBUTES})*+"
)
"""What may stand before the body when there is no `<body>` tag: comments, the document type, the head's elements.

A script with `<!--` in it is none of them, for then its end is not the first `</script>` (§13.2.5.18)."""
