"""The customers of the made-up agency, and what each of them sends: newsletters on their days, streams all day long."""

from __future__ import annotations

from typing import NamedTuple


class Newsletter(NamedTuple):
    """Sent to all subscribers at one hour of some weekdays (Monday is 0), in the customer's own time."""

    name: str
    weekdays: tuple[int, ...]
    hour: float
    subjects: tuple[str, ...]
    """Each issue has the next one; `{}` is the issue's number."""
    stories: tuple[str, ...]
    """The names of the links, the first one the most prominent."""
    tags: tuple[str, ...]
    appeal: float = 1.0
    """How gladly it is read, beside the others."""


class Stream(NamedTuple):
    """Mail that something sets off: one message for one person at a time, through the day."""

    name: str
    subject: str
    stories: tuple[str, ...]
    tags: tuple[str, ...]
    share: float
    """Of the customer's streams."""
    transactional: bool = True
    appeal: float = 1.6

    @property
    def label(self) -> str:
        """The name of its campaign."""
        return self.name


class Trade(NamedTuple):
    """What customers of one kind have in common."""

    noun: str
    """Names further customers of the kind."""
    newsletters: tuple[Newsletter, ...]
    streams: tuple[Stream, ...]
    streamed: float
    """The share of messages that are no newsletters'."""


class Customer(NamedTuple):
    """Who sends; `market` is a name of `people.MARKETS`, `weight` its size beside the others."""

    customer_id: str
    name: str
    trade: Trade
    market: str
    weight: float
    amp: bool = False
    honeypot: bool = False
    initial_pixel: bool = True
    anonymous_streams: bool = False
    """Whether its streams are tracked without saying whose they are."""
    recipients_each: int = 1
    """How many recipients a message of its newsletters has in SMTP."""

    @property
    def domain(self) -> str:
        """Its domain, one of those that nobody can have (RFC 2606)."""
        return f"{self.customer_id.replace('-', '')}.example"


_SHIPPING = Stream(
    "shipping-notice",
    "Your parcel is on its way",
    ("track parcel", "order details", "help"),
    ("order", "shipping"),
    0.4,
)
_ORDER = Stream("order-confirmation", "Thank you for your order", ("order details", "help"), ("order",), 0.4)
_PASSWORD = Stream("password-reset", "Set a new password", ("new password", "help"), ("account",), 0.2)

BOOKS = Trade(
    "Books",
    (
        Newsletter(
            "weekend-reading", (4,), 16.0,
            ("Five books for a quiet weekend", "What our booksellers cannot put down", "Rainy days, long novels",
             "New in translation: issue {}"),
            ("book of the week", "staff picks", "new in paperback", "crime shelf", "events near you"),
            ("newsletter", "reading"), 1.15,
        ),
        Newsletter(
            "new-arrivals", (1,), 9.5,
            ("New this week: {} books", "Hot off the press", "The ones everybody asks for"),
            ("bestsellers", "first novels", "for children", "signed copies"), ("newsletter", "new"), 0.9,
        ),
    ),
    (_ORDER, _SHIPPING, _PASSWORD),
    0.22,
)  # fmt: skip
OUTDOOR = Trade(
    "Outdoor",
    (
        Newsletter(
            "trail-mail", (3,), 17.5,
            ("Huts that are still open", "Packing light: what we leave at home", "Trail mail no. {}",
             "Three tours before the snow"),
            ("tour of the week", "jackets", "boots", "packing list", "repair workshop"), ("newsletter", "tours"), 1.1,
        ),
        Newsletter(
            "deals", (0, 4), 7.5,
            ("Last pairs: up to 40 % off", "Two days only: free delivery", "Members first: deal no. {}"),
            ("sale", "jackets on sale", "boots on sale", "tents", "gift cards"), ("newsletter", "deals", "sale"), 0.75,
        ),
    ),
    (
        _ORDER,
        _SHIPPING,
        Stream("basket-reminder", "Still thinking it over?", ("basket", "similar things", "help"), ("automation",), 0.2,
               transactional=False, appeal=1.0),
    ),
    0.25,
)  # fmt: skip
ENERGY = Trade(
    "Energy",
    (
        Newsletter(
            "saving-tips", (2,), 10.0,
            ("Heating for less: {} tips", "How your street saves energy", "A quieter meter"),
            ("tips", "your usage", "heat pumps", "move house"), ("newsletter", "tips"), 0.8,
        ),
    ),
    (
        Stream("monthly-bill", "Your bill is ready", ("see bill", "pay", "your usage"), ("bill",), 0.6),
        Stream("meter-reading", "Please read your meter", ("enter reading", "why we ask"), ("meter",), 0.25),
        Stream("outage-notice", "Planned work in your street", ("details", "status map"), ("notice",), 0.15),
    ),
    0.6,
)  # fmt: skip
TRAVEL = Trade(
    "Travel",
    (
        Newsletter(
            "city-of-the-week", (2,), 18.0,
            ("48 hours in Lisbon", "Ghent by bicycle", "Trieste, out of season", "Night trains: {} new routes"),
            ("city guide", "hotels", "night trains", "day trips", "map"), ("newsletter", "cities"), 1.2,
        ),
        Newsletter(
            "fare-alert", (1, 5), 8.0,
            ("Fares that fell overnight", "From 29: {} destinations", "Seats are going"),
            ("best fare", "all fares", "flexible dates"), ("newsletter", "fares"), 0.95,
        ),
    ),
    (
        Stream("booking-confirmation", "Your booking", ("booking", "add to calendar", "seat"), ("booking",), 0.55),
        Stream("check-in-open", "Check-in is open", ("check in", "luggage"), ("booking", "reminder"), 0.45, appeal=1.9),
    ),
    0.3,
)  # fmt: skip
SOFTWARE = Trade(
    "Notes",
    (
        Newsletter(
            "product-news", (2,), 15.0,
            ("What is new: release {}", "Shortcuts you did not know", "Tables, at last"),
            ("what is new", "video", "roadmap", "read the blog"), ("product", "newsletter"), 0.85,
        ),
    ),
    (
        Stream("sign-in-code", "Your sign-in code", ("sign in",), ("account", "security"), 0.35, appeal=1.9),
        Stream("mention", "You were mentioned", ("open note", "reply", "mute"), ("notification",), 0.45, appeal=1.3),
        Stream("welcome", "Welcome: three first steps", ("first note", "import", "invite others"),
               ("onboarding", "automation"), 0.2, transactional=False, appeal=1.5),
    ),
    0.65,
)  # fmt: skip
NEWSPAPER = Trade(
    "Courier",
    (
        Newsletter(
            "morning-briefing", (0, 1, 2, 3, 4, 5), 6.25,
            ("Your morning briefing", "What matters today", "Before you leave the house"),
            ("lead story", "second story", "opinion", "weather", "crossword"), ("newsletter", "daily"), 1.25,
        ),
        Newsletter(
            "sunday-long-read", (6,), 9.0,
            ("The long read: no. {}", "One story, half an hour"), ("long read", "listen", "archive"),
            ("newsletter", "weekend"), 1.3,
        ),
    ),
    (
        Stream("breaking-news", "Breaking", ("read on", "live blog"), ("news", "alert"), 0.7, transactional=False),
        Stream("subscription-receipt", "Your receipt", ("receipt", "subscription"), ("account",), 0.3),
    ),
    0.12,
)  # fmt: skip
KITCHEN = Trade(
    "Kitchen",
    (
        Newsletter(
            "menu-of-the-week", (3,), 11.0,
            ("Next week's menu", "Pumpkin, three ways", "Twenty minutes, no oven", "Menu no. {}"),
            ("choose dishes", "recipe one", "recipe two", "for children", "pause deliveries"),
            ("newsletter", "menu"), 1.3,
        ),
    ),
    (
        Stream("delivery-today", "Your box comes today", ("track box", "change delivery"), ("delivery",), 0.6,
               appeal=1.8),
        Stream("rate-your-dishes", "How was it?", ("five stars", "three stars", "one star"),
               ("survey", "automation"), 0.4, transactional=False, appeal=0.9),
    ),
    0.35,
)  # fmt: skip
GARDEN = Trade(
    "Garden",
    (
        Newsletter(
            "month-in-the-garden", (5,), 8.5,
            ("What to plant now", "Bulbs before the frost", "The garden rests: letter {}"),
            ("planting calendar", "bulbs", "tools", "ask a gardener"), ("newsletter", "garden"), 1.0,
        ),
    ),
    (_ORDER, _SHIPPING, _PASSWORD),
    0.2,
)  # fmt: skip

TRADES = (BOOKS, OUTDOOR, ENERGY, TRAVEL, SOFTWARE, NEWSPAPER, KITCHEN, GARDEN)

_FIRST = (
    Customer("harbor-books", "Harbor Books", BOOKS, "uk", 1.0),
    Customer("alpenglow-outdoor", "Alpenglow Outdoor", OUTDOOR, "alps", 1.5),
    Customer("lumen-energy", "Lumen Energy", ENERGY, "uk", 1.1, initial_pixel=False),
    Customer("citypass-travel", "Citypass Travel", TRAVEL, "europe", 1.3, honeypot=True),
    Customer("quillnote", "Quillnote", SOFTWARE, "us", 0.8, amp=True),
    Customer("fenwick-courier", "The Fenwick Courier", NEWSPAPER, "uk", 0.7, initial_pixel=False),
    Customer("open-kitchen", "Open Kitchen", KITCHEN, "alps", 0.7, amp=True, recipients_each=50),
    Customer("verdant-garden", "Verdant Garden", GARDEN, "europe", 0.4, anonymous_streams=True),
)

_WORDS = (
    "Amber", "Birch", "Cedar", "Dorado", "Ember", "Fjord", "Granite", "Hazel", "Indigo", "Juniper", "Kestrel",
    "Linden", "Maple", "Nimbus", "Osprey", "Pebble", "Quartz", "Rowan", "Saffron", "Tundra", "Umber", "Violet",
    "Willow", "Zephyr",
)  # fmt: skip


def customers(number: int) -> list[Customer]:
    """So many customers: eight by hand, the others alike."""
    made = list(_FIRST[:number])
    for place in range(len(made), number):
        like = _FIRST[place % len(_FIRST)]
        turn, word = divmod(place - len(_FIRST), len(_WORDS))
        name = f"{_WORDS[word]} {like.trade.noun}" + (f" {turn + 1}" if turn else "")
        weight = like.weight * (0.3 + 0.7 / (1 + place % 7))
        made.append(like._replace(customer_id=name.lower().replace(" ", "-"), name=name, weight=weight))
    return made
