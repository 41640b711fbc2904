"""Make the labelled set that the bot rules are measured with: `python -m tests.enrichment.labelled.make_labelled`.

Synthetic, from documented or widely reported patterns; README.md says what that means. The seed is fixed, so that the
same program gives the same set. Addresses of services are in the networks that they publish; all others are from the
ranges for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DIRECTORY = Path(__file__).parent
SEED = 20_260_401
Line = dict[str, Any]

BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/131.0.0.0 Safari/537.36"
EDGE = CHROME + " Edg/131.0.0.0"
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
MAC_SAFARI = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.1 Safari/605.1.15"
IPHONE_MAIL = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148"
IPHONE = IPHONE_MAIL.replace("Mobile", "Version/18.1 Mobile") + " Safari/604.1"
ANDROID = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {BLINK} Chrome/131.0.0.0 Mobile Safari/537.36"
CUBOT = f"Mozilla/5.0 (Linux; Android 9; CUBOT_X19) {BLINK} Chrome/120.0.0.0 Mobile Safari/537.36"
FACEBOOK_APP = IPHONE_MAIL + " [FBAN/FBIOS;FBAV/440.0.0.28.105;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/18.1]"
LINE_APP = ANDROID + " Line/14.1.0"
W3M = "w3m/0.5.3+git20230121"
BROWSERS = (CHROME, EDGE, FIREFOX, MAC_SAFARI, IPHONE, ANDROID)
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"
OFFICE_CHECK = "Mozilla/4.0 (compatible; ms-office; MSOffice 16)"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
HEY = f"hey.com/imageproxy Mozilla/5.0 (X11; Linux x86_64) {BLINK} Chrome/134.0.0.0 Safari/537.36"
FASTMAIL = f"Mozilla/5.0 (X11; Linux x86_64) {BLINK} Chrome/118.0.5993.117 Safari/537.36 FastmailUA/1.0"
APPLE = "Mozilla/5.0"
PREVIEWS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
)
TOOLS = ("curl/8.5.0", "Wget/1.21.4", "python-requests/2.32.3", "Go-http-client/2.0", "Java/17.0.9", "okhttp/4.12.0")
MONITORS = (
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "check_http/v2.3.3 (nagios-plugins 2.3.3)",
)
CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
)
NAMED_SCANNERS = (
    "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))",
    "Mozilla/5.0 (compatible; Mimecast; +https://www.mimecast.com)",
    "Mozilla/5.0 (compatible; proofpoint/1.0)",
)
HEADLESS = f"Mozilla/5.0 (X11; Linux x86_64) {BLINK} HeadlessChrome/131.0.0.0 Safari/537.36"

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


class Scenarios:
    """Writes the lines of one scenario after the other; every copy is delivered some time in the first hour."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lines: list[Line] = []
        self._scenario = ""
        self._copies = 0

    def make(self, scenario: Callable[[Scenarios], None], copies: int) -> None:
        """Play a scenario for so many copies."""
        self._scenario = scenario.__name__.replace("_", " ")
        for _ in range(copies):
            scenario(self)

    def deliver(self) -> tuple[int, float]:
        """A new copy and the time of its delivery."""
        copy, at = self._copies, self.chance.randrange(10 * SECOND, HOUR)
        self._copies += 1
        self._add(type="delivery", copy=copy, at=at)
        return copy, at

    def click(
        self, copy: int, at: float, agent: str, address: str, label: str, link: int | str = 0, **more: Any
    ) -> None:
        """A link is followed."""
        self._request("click", copy, at, agent, address, label, link=link, **more)

    def open(self, copy: int, at: float, agent: str, address: str, label: str, **more: Any) -> None:
        """The image is fetched."""
        self._request(more.pop("type", "open"), copy, at, agent, address, label, **more)

    def head(self, copy: int, at: float, agent: str, address: str, link: int) -> None:
        """A link is asked for with HEAD."""
        self._add(type="head", copy=copy, at=int(at), link=link, address=address, user_agent=agent)

    def _request(self, kind: str, copy: int, at: float, agent: str, address: str, label: str, **more: Any) -> None:
        self._add(type=kind, copy=copy, at=int(at), **more, address=address, user_agent=agent, label=label)

    def _add(self, **members: Any) -> None:
        self.lines.append({"scenario": self._scenario, **members})

    def home(self) -> str:
        """An address of somebody's own."""
        if self.chance.random() < 0.3:
            return f"2001:db8:{self.chance.randrange(1, 65536):x}::{self.chance.randrange(1, 65536):x}"
        return f"{self.chance.choice(('192.0.2', '198.51.100', '203.0.113'))}.{self.chance.randrange(1, 255)}"

    def cloud(self) -> str:
        """An address of a rented computer: what most scanners have, and nothing tells it from another."""
        return f"2001:db8:c10d::{self.chance.randrange(1, 65536):x}"

    def of(self, network: str) -> str:
        """An address of a network, named by its first three octets."""
        return f"{network}.{self.chance.randrange(1, 255)}"

    def one(self, choices: Sequence[str]) -> str:
        """Any of these."""
        return self.chance.choice(choices)

    def between(self, least: float, most: float) -> float:
        """Milliseconds."""
        return self.chance.uniform(least, most)


# --- People ----------------------------------------------------------------------------------------------------------


def reads_on_a_phone(s: Scenarios) -> None:
    """Opens in a mail app that loads images itself, and follows a link some time later."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(2 * MINUTE, 9 * HOUR)
    s.open(copy, at, IPHONE_MAIL, address, "person", type="initial_open")
    s.open(copy, at + 80, IPHONE_MAIL, address, "person")
    s.click(copy, at + s.between(4 * SECOND, MINUTE), IPHONE, address, "person", s.chance.randrange(6))


def reads_in_thunderbird(s: Scenarios) -> None:
    """A desktop program and a browser of its own."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(MINUTE, 9 * HOUR)
    s.open(copy, at, THUNDERBIRD, address, "person")
    s.click(copy, at + s.between(4 * SECOND, MINUTE), FIREFOX, address, "person", s.chance.randrange(6))


def reads_in_outlook(s: Scenarios) -> None:
    """Office asks what is behind a link before the browser does."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(MINUTE, 9 * HOUR)
    s.open(copy, at, OUTLOOK, address, "person")
    at += s.between(5 * SECOND, MINUTE)
    s.click(copy, at, OFFICE_CHECK, address, "machine", 2)
    s.click(copy, at + s.between(300, 900), EDGE, address, "person", 2)


def reads_in_gmail(s: Scenarios) -> None:
    """The proxy fetches when the message is shown."""
    copy, at = s.deliver()
    at += s.between(MINUTE, 9 * HOUR)
    s.open(copy, at, GMAIL, s.of("66.249.84"), "person")
    if s.chance.random() < 0.6:
        s.click(copy, at + s.between(4 * SECOND, MINUTE), s.one(BROWSERS), s.home(), "person", s.chance.randrange(6))


def has_gmail_open_when_it_arrives(s: Scenarios) -> None:
    """Images are fetched at once for somebody who has the mailbox open (SendGrid and others report it)."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(300, 1800), GMAIL, s.of("66.249.84"), "ahead")


def reads_in_yahoo(s: Scenarios) -> None:
    """As Gmail."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(MINUTE, 9 * HOUR), YAHOO, "98.137.64.10", "person")


def reads_in_another_web_mail(s: Scenarios) -> None:
    """Proxies that say their name, and Exchange Online, which does not."""
    copy, at = s.deliver()
    agent, address = s.chance.choice(((HEY, "203.0.113.80"), (FASTMAIL, "203.0.113.81"), (CHROME, "52.97.133.10")))
    s.open(copy, at + s.between(MINUTE, 9 * HOUR), agent, address, "person")


def has_apple_mail(s: Scenarios) -> None:
    """Mail Privacy Protection fetches everything; who follows a link has read it."""
    copy, at = s.deliver()
    at += s.between(20 * SECOND, 3 * HOUR)
    s.open(copy, at, APPLE, s.cloud(), "ahead", type="initial_open")
    s.open(copy, at + 150, APPLE, s.cloud(), "ahead")
    if s.chance.random() < 0.5:
        s.click(copy, at + s.between(MINUTE, 5 * HOUR), IPHONE, s.home(), "person", s.chance.randrange(6))


def waits_for_a_code(s: Scenarios) -> None:
    """A sign-in link is followed seconds after it has come."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(2.2 * SECOND, 6 * SECOND), s.one(BROWSERS), s.home(), "person")


def opens_two_links_in_two_tabs(s: Scenarios) -> None:
    """Hours after delivery, within a second."""
    copy, at = s.deliver()
    address, agent, at = s.home(), s.one((CHROME, FIREFOX, EDGE)), at + s.between(10 * MINUTE, 9 * HOUR)
    s.click(copy, at, agent, address, "person", 1)
    s.click(copy, at + s.between(500, 1500), agent, address, "person", 2)


def opens_two_links_right_on_arrival(s: Scenarios) -> None:
    """Quick and impatient: as a machine would do it."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(8 * SECOND, 25 * SECOND)
    for link in range(2):
        s.click(copy, at + link * 1100, CHROME, address, "person", link)


def has_the_newest_message_always_on_show(s: Scenarios) -> None:
    """A desktop program that shows what comes, by push; whether anybody looks is another question."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(600, 1800), THUNDERBIRD, s.home(), "person")


def opens_three_links_in_three_tabs(s: Scenarios) -> None:
    """The same with three: no rule can tell it from a machine."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(10 * MINUTE, 9 * HOUR)
    for link in range(3):
        s.click(copy, at + link * 600, CHROME, address, "person", link)


def clicks_twice(s: Scenarios) -> None:
    """A double click asks for one link twice."""
    copy, at = s.deliver()
    address, at = s.home(), at + s.between(MINUTE, 9 * HOUR)
    for after in (0, s.between(120, 350)):
        s.click(copy, at + after, EDGE, address, "person", 3)


def reads_one_link_after_the_other(s: Scenarios) -> None:
    """Somebody who likes it all, a few seconds for each."""
    copy, at = s.deliver()
    address, agent, at = s.home(), s.one(BROWSERS), at + s.between(MINUTE, 9 * HOUR)
    for link in range(5):
        s.click(copy, at, agent, address, "person", link)
        at += s.between(3 * SECOND, MINUTE)


def sits_behind_one_address_with_colleagues(s: Scenarios) -> None:
    """Several people of one office follow links of their own copies within two seconds."""
    address, at = s.home(), 2 * HOUR + s.between(0, HOUR)
    for person in range(4):
        copy, _ = s.deliver()
        s.click(copy, at + s.between(0, 2 * SECOND), s.one(BROWSERS), address, "person", person)


def uses_a_browser_inside_an_app(s: Scenarios) -> None:
    """Agents with the names of services that also have preview robots; a telephone named Cubot; a text browser."""
    copy, at = s.deliver()
    agent = s.one((FACEBOOK_APP, LINE_APP, CUBOT, W3M))
    s.click(copy, at + s.between(MINUTE, 9 * HOUR), agent, s.home(), "person", 1)


def shares_the_link_in_a_conversation(s: Scenarios) -> None:
    """A robot makes a preview, then a colleague follows the link."""
    copy, at = s.deliver()
    at += s.between(5 * MINUTE, 9 * HOUR)
    s.click(copy, at, s.one(PREVIEWS), s.cloud(), "machine", 1)
    s.click(copy, at + s.between(20 * SECOND, HOUR), s.one(BROWSERS), s.home(), "person", 1)


def has_a_browser_that_prefetches(s: Scenarios) -> None:
    """The browser says so (`Sec-Purpose: prefetch`)."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(MINUTE, 9 * HOUR), CHROME, s.home(), "ahead", 1, prefetched=True)


def is_checked_at_the_time_of_the_click(s: Scenarios) -> None:
    """A service asks with HEAD what is behind the link, then redirects the person, who comes from elsewhere."""
    copy, at = s.deliver()
    at += s.between(MINUTE, 9 * HOUR)
    s.head(copy, at, CHROME, "40.107.22.9", 2)
    s.click(copy, at + s.between(300, 1500), s.one(BROWSERS), s.home(), "person", 2)


def browses_in_isolation(s: Scenarios) -> None:
    """A gateway's cloud shows the page to a person: the request comes from its network, long after delivery."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(20 * MINUTE, 9 * HOUR), CHROME, s.of("67.231.152"), "person", 1)


def has_a_mail_program_without_a_name(s: Scenarios) -> None:
    """Some send no User-Agent with images."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(MINUTE, 9 * HOUR), "", s.home(), "person")


def unsubscribes_by_the_link(s: Scenarios) -> None:
    """At leisure."""
    copy, at = s.deliver()
    s._request(
        "link_unsubscribe", copy, at + s.between(MINUTE, 9 * HOUR), s.one(BROWSERS), s.home(), "person", link="leave"
    )


def unsubscribes_by_the_providers_button(s: Scenarios) -> None:
    """The provider's server posts for the person (RFC 8058)."""
    copy, at = s.deliver()
    agent = s.one(("Go-http-client/2.0", "", "Mozilla/5.0 (compatible; Google-Gmail-Unsubscribe)"))
    s._request("list_unsubscribe", copy, at + s.between(MINUTE, 9 * HOUR), agent, s.cloud(), "person")


# --- Machines --------------------------------------------------------------------------------------------------------


def scanner_follows_all_links_on_arrival(s: Scenarios) -> None:
    """Browser-like, from several addresses, within seconds of delivery: what marketers report of most gateways."""
    copy, at = s.deliver()
    at += s.between(SECOND, 9 * SECOND)
    for link in range(s.chance.randrange(3, 9)):
        s.click(copy, at, s.one((CHROME, EDGE, MAC_SAFARI)), s.cloud(), "machine", link)
        at += s.between(20, 300)


def scanner_follows_all_links_before_delivery(s: Scenarios) -> None:
    """While the next hop still has our connection open."""
    copy, at = s.deliver()
    at -= int(s.between(SECOND, 2 * SECOND))
    for link in range(s.chance.randrange(1, 4)):
        s.click(copy, at, CHROME, s.cloud(), "machine", link)
        at += int(s.between(100, 300))


def scanner_renders_the_whole_message(s: Scenarios) -> None:
    """The image and four links, one address, minutes later."""
    copy, at = s.deliver()
    address, at = s.cloud(), at + s.between(10 * SECOND, 10 * MINUTE)
    s.open(copy, at, CHROME, address, "machine")
    for link in range(4):
        s.click(copy, at + 200 + link * 250, CHROME, address, "machine", link)


def scanner_fetches_the_images_on_arrival(s: Scenarios) -> None:
    """Nothing but the images, at once, as a browser."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(100, 900), CHROME, s.cloud(), "machine", type="initial_open")
    s.open(copy, at + s.between(100, 900), CHROME, s.cloud(), "machine")


def safe_links_detonates_in_its_own_network(s: Scenarios) -> None:
    """From the network of Exchange Online Protection (gophish issue 973 shows it), a minute or so after delivery."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(10 * SECOND, 5 * MINUTE), CHROME, s.of("40.107.218"), "machine", 1)


def barracuda_scans(s: Scenarios) -> None:
    """From its own network, one link a second or so, before and after delivery."""
    copy, at = s.deliver()
    address, at = s.of("209.222.82"), at + s.between(0, 30 * SECOND)
    for link in range(3):
        s.click(copy, at + link * 1300, CHROME, address, "machine", link)


def proofpoint_scans(s: Scenarios) -> None:
    """From its own network, soon after delivery, one link."""
    copy, at = s.deliver()
    s.click(
        copy,
        at + s.between(5 * SECOND, 4 * MINUTE),
        MAC_SAFARI,
        s.of("67.231.147"),
        "machine",
        1,
    )


def mimecast_scans(s: Scenarios) -> None:
    """The same."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(5 * SECOND, 4 * MINUTE), CHROME, s.of("207.211.30"), "machine", 1)


def scanner_says_its_name(s: Scenarios) -> None:
    """The honest ones."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(5 * SECOND, HOUR), s.one(NAMED_SCANNERS), s.cloud(), "machine", 1)


def scanner_asks_with_head_first(s: Scenarios) -> None:
    """HEAD, and GET where that says HTML; one address."""
    copy, at = s.deliver()
    address, at = s.cloud(), at + s.between(10 * SECOND, HOUR)
    s.head(copy, at, CHROME, address, 1)
    s.click(copy, at + s.between(200, 4 * SECOND), CHROME, address, "machine", 1)


def scanner_steps_into_the_trap(s: Scenarios) -> None:
    """One link, then the hidden one, seconds apart, from two addresses."""
    copy, at = s.deliver()
    at += s.between(10 * SECOND, HOUR)
    s.click(copy, at, CHROME, s.cloud(), "machine", 0)
    s.click(copy, at + s.between(300, 2 * SECOND), CHROME, s.cloud(), "machine", "hidden")
    s.click(copy, at + s.between(3 * SECOND, 8 * SECOND), CHROME, s.cloud(), "machine", 1)


def scanner_unsubscribes(s: Scenarios) -> None:
    """Every link means that one too."""
    copy, at = s.deliver()
    at += s.between(2 * SECOND, 9 * SECOND)
    for link in range(3):
        s.click(copy, at + link * 150, CHROME, s.cloud(), "machine", link)
    s._request("link_unsubscribe", copy, at + 450, CHROME, s.cloud(), "machine", link="leave")


def tool_fetches_a_link(s: Scenarios) -> None:
    """Scripts and libraries that say what they are, or nothing."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(MINUTE, 9 * HOUR), s.one((*TOOLS, "", HEADLESS)), s.cloud(), "machine", 1)


def monitor_watches_a_link(s: Scenarios) -> None:
    """Somebody put a tracked link into a monitor, or onto a page that is crawled."""
    copy, at = s.deliver()
    agent = s.one(MONITORS + CRAWLERS)
    for again in range(2):
        s.click(copy, at + s.between(HOUR, 9 * HOUR) + again * HOUR, agent, s.cloud(), "machine", 1)


def robot_fetches_the_image(s: Scenarios) -> None:
    """A preview of a page that the message was published as."""
    copy, at = s.deliver()
    s.open(copy, at + s.between(MINUTE, 9 * HOUR), s.one(PREVIEWS + TOOLS[:4] + CRAWLERS), s.cloud(), "machine")


def scanner_follows_one_link_quietly(s: Scenarios) -> None:
    """One link, browser-like, from a rented computer, half a minute after delivery: nothing tells it from a person."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(10 * SECOND, 2 * MINUTE), s.one(BROWSERS), s.cloud(), "machine", s.chance.randrange(6))


def scanner_takes_its_time(s: Scenarios) -> None:
    """A link every half minute: the same."""
    copy, at = s.deliver()
    at += s.between(MINUTE, HOUR)
    for link in range(3):
        s.click(copy, at + link * 30 * SECOND, CHROME, s.cloud(), "machine", link)


def investigation_hours_later(s: Scenarios) -> None:
    """An alert makes a service look at a link again: the same."""
    copy, at = s.deliver()
    s.click(copy, at + s.between(2 * HOUR, 9 * HOUR), EDGE, s.cloud(), "machine", 1)


PEOPLE: dict[Callable[[Scenarios], None], int] = {
    reads_on_a_phone: 12,
    reads_in_thunderbird: 8,
    reads_in_outlook: 12,
    reads_in_gmail: 20,
    has_gmail_open_when_it_arrives: 8,
    reads_in_yahoo: 8,
    reads_in_another_web_mail: 9,
    has_apple_mail: 16,
    waits_for_a_code: 12,
    opens_two_links_in_two_tabs: 10,
    opens_two_links_right_on_arrival: 2,
    has_the_newest_message_always_on_show: 4,
    opens_three_links_in_three_tabs: 2,
    clicks_twice: 6,
    reads_one_link_after_the_other: 5,
    sits_behind_one_address_with_colleagues: 4,
    uses_a_browser_inside_an_app: 10,
    shares_the_link_in_a_conversation: 8,
    has_a_browser_that_prefetches: 5,
    is_checked_at_the_time_of_the_click: 8,
    browses_in_isolation: 6,
    has_a_mail_program_without_a_name: 4,
    unsubscribes_by_the_link: 6,
    unsubscribes_by_the_providers_button: 6,
}
MACHINES: dict[Callable[[Scenarios], None], int] = {
    scanner_follows_all_links_on_arrival: 14,
    scanner_follows_all_links_before_delivery: 8,
    scanner_renders_the_whole_message: 6,
    scanner_fetches_the_images_on_arrival: 6,
    safe_links_detonates_in_its_own_network: 8,
    barracuda_scans: 6,
    proofpoint_scans: 6,
    mimecast_scans: 6,
    scanner_says_its_name: 6,
    scanner_asks_with_head_first: 8,
    scanner_steps_into_the_trap: 5,
    scanner_unsubscribes: 5,
    tool_fetches_a_link: 12,
    monitor_watches_a_link: 8,
    robot_fetches_the_image: 8,
    scanner_follows_one_link_quietly: 8,
    scanner_takes_its_time: 4,
    investigation_hours_later: 4,
}


def labelled() -> dict[str, list[Line]]:
    """The lines of each file."""
    scenarios = Scenarios(SEED)
    files: dict[str, list[Line]] = {}
    for name, kinds in (("people.jsonl", PEOPLE), ("machines.jsonl", MACHINES)):
        scenarios.lines = []
        for scenario, copies in kinds.items():
            scenarios.make(scenario, copies)
        files[name] = scenarios.lines
    return files


def texts() -> Iterator[tuple[Path, str]]:
    """Each file and what belongs into it."""
    for name, lines in labelled().items():
        yield DIRECTORY / name, "".join(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    for path, text in texts():
        path.write_text(text, encoding="utf-8")
