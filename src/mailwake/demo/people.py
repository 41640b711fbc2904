"""Who gets the mail: addresses, mailbox providers, programs and places of made-up people, each told by a number.

Nothing is kept of anybody: a person is made of a number whenever they are needed, always the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_MASK = (1 << 64) - 1


def scatter(number: int) -> int:
    """A number of 64 bits that looks drawn by lot, always the same for the same number."""
    mixed = (number * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
    mixed = ((mixed ^ mixed >> 31) * 0xD6E8FEB86659FD93) & _MASK
    return mixed ^ mixed >> 32


class Place(NamedTuple):
    """Where somebody is, as a database of places says it; the last two are no fields of events."""

    country: str
    region: str
    city: str
    latitude: float
    longitude: float
    postal_code: str
    zone: str
    language: str


_LONDON = Place("GB", "ENG", "London", 51.51, -0.13, "SW1A", "Europe/London", "en-GB,en;q=0.9")
_LEEDS = Place("GB", "ENG", "Leeds", 53.80, -1.55, "LS1", "Europe/London", "en-GB,en;q=0.9")
_GLASGOW = Place("GB", "SCT", "Glasgow", 55.86, -4.25, "G1", "Europe/London", "en-GB,en;q=0.9")
_DUBLIN = Place("IE", "L", "Dublin", 53.35, -6.26, "D02", "Europe/Dublin", "en-IE,en;q=0.9")
_BERLIN = Place("DE", "BE", "Berlin", 52.52, 13.40, "10115", "Europe/Berlin", "de-DE,de;q=0.9,en;q=0.7")
_MUNICH = Place("DE", "BY", "Munich", 48.14, 11.58, "80331", "Europe/Berlin", "de-DE,de;q=0.9,en;q=0.7")
_ZURICH = Place("CH", "ZH", "Zurich", 47.37, 8.54, "8001", "Europe/Zurich", "de-CH,de;q=0.9,en;q=0.7")
_VIENNA = Place("AT", "9", "Vienna", 48.21, 16.37, "1010", "Europe/Vienna", "de-AT,de;q=0.9,en;q=0.7")
_INNSBRUCK = Place("AT", "7", "Innsbruck", 47.27, 11.40, "6020", "Europe/Vienna", "de-AT,de;q=0.9")
_LYON = Place("FR", "ARA", "Lyon", 45.76, 4.84, "69001", "Europe/Paris", "fr-FR,fr;q=0.9,en;q=0.6")
_PARIS = Place("FR", "IDF", "Paris", 48.86, 2.35, "75001", "Europe/Paris", "fr-FR,fr;q=0.9,en;q=0.6")
_MADRID = Place("ES", "MD", "Madrid", 40.42, -3.70, "28001", "Europe/Madrid", "es-ES,es;q=0.9,en;q=0.6")
_GHENT = Place("BE", "VLG", "Ghent", 51.05, 3.72, "9000", "Europe/Brussels", "nl-BE,nl;q=0.9,en;q=0.8")
_STOCKHOLM = Place("SE", "AB", "Stockholm", 59.33, 18.07, "111 20", "Europe/Stockholm", "sv-SE,sv;q=0.9,en;q=0.8")
_AUSTIN = Place("US", "TX", "Austin", 30.27, -97.74, "78701", "America/Chicago", "en-US,en;q=0.9")
_BOSTON = Place("US", "MA", "Boston", 42.36, -71.06, "02108", "America/New_York", "en-US,en;q=0.9")
_CHICAGO = Place("US", "IL", "Chicago", 41.88, -87.63, "60601", "America/Chicago", "en-US,en;q=0.9")
_SEATTLE = Place("US", "WA", "Seattle", 47.61, -122.33, "98101", "America/Los_Angeles", "en-US,en;q=0.9")
_TORONTO = Place("CA", "ON", "Toronto", 43.65, -79.38, "M5H", "America/Toronto", "en-CA,en;q=0.9,fr;q=0.5")
_SYDNEY = Place("AU", "NSW", "Sydney", -33.87, 151.21, "2000", "Australia/Sydney", "en-AU,en;q=0.9")

Weighted = tuple[tuple[Place, int], ...]

MARKETS: dict[str, Weighted] = {
    "uk": ((_LONDON, 45), (_LEEDS, 25), (_GLASGOW, 14), (_DUBLIN, 9), (_MADRID, 3), (_PARIS, 2), (_BOSTON, 2)),
    "alps": ((_MUNICH, 28), (_BERLIN, 24), (_ZURICH, 22), (_VIENNA, 16), (_INNSBRUCK, 8), (_LYON, 2)),
    "europe": (
        (_BERLIN, 16), (_PARIS, 16), (_LONDON, 14), (_MADRID, 11), (_LYON, 9), (_GHENT, 9), (_STOCKHOLM, 9),
        (_VIENNA, 8), (_BOSTON, 4), (_SYDNEY, 4),
    ),
    "us": (
        (_BOSTON, 20), (_CHICAGO, 18), (_AUSTIN, 17), (_SEATTLE, 17), (_TORONTO, 12), (_LONDON, 8), (_BERLIN, 4),
        (_SYDNEY, 4),
    ),
}  # fmt: skip
"""Where the people of a market are, the first place where its senders are as well."""


class Program(NamedTuple):
    """What somebody reads mail with: the agent that loads images, and the ones of the browsers that links go to."""

    images: str
    browsers: tuple[str, ...]
    proxy: bool = False
    prefetches: bool = False
    shows_images: float = 0.92


_IPHONE = tuple(
    f"Mozilla/5.0 (iPhone; CPU iPhone OS {version.replace('.', '_')} like Mac OS X) AppleWebKit/605.1.15"
    f" (KHTML, like Gecko) Version/{version} Mobile/15E148 Safari/604.1"
    for version in ("17.6", "18.5", "18.6", "26.0", "26.1")
)
_MAC = tuple(
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    f" Version/{version} Safari/605.1.15"
    for version in ("18.6", "26.0", "26.1")
)
_SAMSUNG = (
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0"
    " Chrome/130.0.0.0 Mobile Safari/537.36"
)
_ANDROID = (
    _SAMSUNG,
    *(
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
        f" Chrome/{version}.0.0.0 Mobile Safari/537.36"
        for version in range(138, 143)
    ),
)
_CHROME = tuple(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    f" Chrome/{version}.0.0.0 Safari/537.36"
    for version in range(138, 143)
)
_EDGE = tuple(f"{agent} Edg/{agent.partition('Chrome/')[2].partition(' ')[0]}" for agent in _CHROME[1:])
_FIREFOX = tuple(
    f"Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0" for version in (140, 143, 144)
)
_WINDOWS = _CHROME + _EDGE[:2]
_OUTLOOK = (
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; .NET4.0C; .NET4.0E;"
    " Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)"
)
_APPLE_MAIL = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
)
_THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0"
_GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
_YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"

GMAIL_ANDROID = Program(_GMAIL, _ANDROID, proxy=True, shows_images=0.97)
GMAIL_DESKTOP = Program(_GMAIL, _CHROME, proxy=True, shows_images=0.97)
APPLE_PRIVACY = Program("Mozilla/5.0", (*_IPHONE, *_MAC), proxy=True, prefetches=True)
APPLE_OPEN = Program(_APPLE_MAIL, _IPHONE)
YAHOO_WEB = Program(_YAHOO, (*_ANDROID, *_CHROME), proxy=True, shows_images=0.95)
OUTLOOK = Program(_OUTLOOK, _EDGE, shows_images=0.6)
WEBMAIL = Program(_WINDOWS[2], _WINDOWS)
ANDROID_MAIL = Program(_SAMSUNG, _ANDROID)
THUNDERBIRD = Program(_THUNDERBIRD, _FIREFOX, shows_images=0.45)


class Provider(NamedTuple):
    """Who keeps mailboxes; `share` of all people in per mille."""

    domain: str
    share: int
    programs: tuple[tuple[Program, int], ...]
    deferred: float = 0.004
    """How often a copy is deferred at first."""


COMPANIES = Provider("", 150, ((OUTLOOK, 62), (APPLE_PRIVACY, 14), (GMAIL_DESKTOP, 16), (WEBMAIL, 8)), 0.012)
"""Companies, each with a domain of its own."""

PROVIDERS = (
    Provider("gmail.example", 350, ((GMAIL_ANDROID, 50), (GMAIL_DESKTOP, 28), (APPLE_PRIVACY, 18), (THUNDERBIRD, 4))),
    Provider("outlook.example", 140, ((WEBMAIL, 45), (OUTLOOK, 25), (APPLE_PRIVACY, 22), (ANDROID_MAIL, 8)), 0.008),
    Provider("icloud.example", 110, ((APPLE_PRIVACY, 82), (APPLE_OPEN, 18))),
    Provider("yahoo.example", 80, ((YAHOO_WEB, 72), (APPLE_PRIVACY, 20), (ANDROID_MAIL, 8)), 0.03),
    Provider("gmx.example", 65, ((WEBMAIL, 62), (ANDROID_MAIL, 22), (APPLE_PRIVACY, 12), (THUNDERBIRD, 4)), 0.015),
    Provider("webmail.example", 45, ((WEBMAIL, 70), (APPLE_PRIVACY, 20), (THUNDERBIRD, 10)), 0.01),
    Provider("btmail.example", 30, ((WEBMAIL, 55), (APPLE_PRIVACY, 30), (OUTLOOK, 15)), 0.01),
    Provider("orange.example", 20, ((WEBMAIL, 60), (ANDROID_MAIL, 25), (APPLE_PRIVACY, 15)), 0.02),
    Provider("proton.example", 10, ((THUNDERBIRD, 100),)),
    COMPANIES,
)

_COMPANY_NAMES = (
    "northwind", "acme", "globex", "initech", "hooli", "umbra", "stellar", "vectra", "monolith", "cobalt",
    "meridian", "argent", "tessera", "halcyon", "solstice", "borealis", "quorum", "lattice", "kepler",
    "redwood", "brightside", "fathom", "octave", "parallax", "sundial", "tidewater", "underhill", "vantage",
    "westmark", "yonder", "zenith", "anvil", "beacon", "cinder", "driftwood", "eastgate", "foundry", "gantry",
    "hillcrest", "ironbridge",
)  # fmt: skip
_FIRST_NAMES = (
    "alex", "amelie", "anna", "ben", "bianca", "carla", "chris", "clara", "daniel", "david", "elena", "emil",
    "emma", "eric", "eva", "felix", "fiona", "florian", "frances", "george", "greta", "hannah", "helen",
    "henry", "ida", "ines", "isaac", "jack", "jana", "jonas", "julia", "karin", "kate", "lara", "laura", "lena",
    "leo", "lisa", "louis", "lucas", "luisa", "maria", "marta", "max", "mia", "nadia", "nina", "noah", "nora",
    "oliver", "oscar", "paul", "petra", "rosa", "ruth", "sam", "sara", "simon", "sofia", "theo", "tom", "vera",
    "victor", "zoe",
)  # fmt: skip
_LAST_NAMES = (
    "adler", "archer", "bauer", "becker", "bell", "berger", "blake", "brandt", "brook", "carter", "clark",
    "cole", "cooper", "dubois", "ellis", "fischer", "ford", "fox", "frank", "garcia", "graf", "grant", "green",
    "haas", "hall", "hart", "hill", "huber", "hunt", "jensen", "keller", "kern", "klein", "koch", "lang",
    "lewis", "lindt", "lopez", "mason", "mayer", "miller", "moore", "moreau", "moser", "novak", "parker",
    "petit", "pohl", "reed", "richter", "roth", "schmid", "scott", "shaw", "simon", "stone", "thomas", "vogel",
    "wagner", "walker", "weber", "white", "winter", "young",
)  # fmt: skip


def spread(weighted: Sequence[tuple[T, int]], size: int) -> list[T]:
    """A table of this size in which each thing stands as often as its weight says."""
    total, reached = sum(weight for _, weight in weighted), 0
    table: list[T] = []
    for thing, weight in weighted:
        reached += weight
        table += [thing] * (reached * size // total - len(table))
    return table


class Person(NamedTuple):
    """Somebody who gets mail of one customer."""

    address: str
    raw_address: str
    domain: str
    provider: Provider
    program: Program
    place: Place
    browser: str
    ip_address: str
    liveliness: float
    """How gladly they read mail, 0 to about 2.4; 1 on the average."""
    exists: bool
    """Whether there is such a mailbox."""
    scanned: bool
    """Whether their company has all mail looked at by a gateway, which follows every link."""


class People:
    """The people of one customer: `person(index)` for each index below `number`."""

    def __init__(self, customer: int, market: str, number: int, seed: int) -> None:
        self.number = number
        self._salt = scatter(seed * 1_000_003 + customer) & ~0xFFFFFFFF
        self._providers = spread([(each, each.share) for each in PROVIDERS], 1024)
        self._programs = {each.domain: spread(each.programs, 256) for each in PROVIDERS}
        self._places = spread(MARKETS[market], 256)
        self._companies = max(len(_COMPANY_NAMES), number // 400)

    def person(self, index: int) -> Person:
        """The person of this index."""
        lot = scatter(self._salt + index)
        provider = self._providers[lot & 1023]
        program = self._programs[provider.domain][lot >> 10 & 255]
        domain = provider.domain or self._company(lot >> 44)
        first, last = _FIRST_NAMES[lot >> 18 & 63], _LAST_NAMES[lot >> 24 & 63]
        style = lot >> 30 & 7
        name = f"{first}.{last}{index}" if style < 5 else f"{first[0]}{last}{index}"
        address = f"{name}@{domain}"
        browsers = program.browsers
        liveliness = (lot >> 34 & 1023) / 1023
        return Person(
            address,
            f"{name.title()}@{domain}" if style == 0 else address,
            domain,
            provider,
            program,
            self._places[lot >> 52 & 255],
            browsers[(lot >> 20 & 255) % len(browsers)],
            f"100.{64 + (lot >> 40 & 63)}.{lot >> 48 & 255}.{lot >> 56 & 255}",
            liveliness * liveliness * 2.4 + 0.2,
            lot >> 14 & 127 != 77,
            not provider.domain and (lot >> 44) % self._companies % 5 < 2,
        )

    def _company(self, lot: int) -> str:
        turn, place = divmod(lot % self._companies, len(_COMPANY_NAMES))
        return f"{_COMPANY_NAMES[place]}{turn or ''}.example"
