import pytest

from mailwake.config.durations import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1.5h", 5400),
        ("5d", 432000),
        ("2w", 1209600),
        (" 4 h ", 14400),
        ("0.5s", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert isinstance(parse_duration(text), type(seconds))


@pytest.mark.parametrize("text", ["", "m", "5 minutes", "-5", "1e3", "5mm", "nan", "５m", "5M"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("500", 500),
        ("500B", 500),
        ("30MB", 30_000_000),
        ("30MiB", 31_457_280),
        ("1 GiB", 1 << 30),
        ("64kib", 65536),
    ],
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "MB", "1.5MB", "-1", "30M", "30 megabytes"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 59, 60, 90, 300, 3600, 86400, 31_536_000, 12_345_678.25])
def test_what_is_shown_reads_back(seconds: float) -> None:
    assert parse_duration(show_duration(seconds)) == seconds


@pytest.mark.parametrize("octets", [0, 1, 200, 1000, 1024, 65536, 31_457_280, 1 << 30])
def test_a_shown_size_reads_back(octets: int) -> None:
    assert parse_size(show_size(octets)) == octets
