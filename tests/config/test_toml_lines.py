import tomllib
from typing import Any

import pytest

from mailwake.config.toml_lines import TomlLines, join_name, split_name

TEXT = '''\
a = 1
# b = 2
text = """
c = 3
[not.a.table]
"""
list = [
  "x = 1",
  # ]
  2,
]
d = 4

[one]
"quoted key" = 1
  inner . deep = 2
[ two . "127.0.0.1:2525" ] # comment
table = { x = 1, y = [
  2 ] }
z = 5
[[many]]
id = 1
[[many]]
id = 2
'''


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a", 1),
        ("b", 0),
        ("text", 3),
        ("c", 0),
        ("list", 7),
        ("d", 12),
        ("one", 14),
        ('one."quoted key"', 15),
        ("one.inner.deep", 16),
        ('two."127.0.0.1:2525"', 17),
        ('two."127.0.0.1:2525".table', 18),
        ('two."127.0.0.1:2525".table.x', 0),
        ('two."127.0.0.1:2525".z', 20),
        ("many", 21),
        ("many.0.id", 22),
        ("many.1.id", 24),
    ],
)
def test_where_a_setting_stands(name: str, line: int) -> None:
    tomllib.loads(TEXT)
    assert TomlLines(TEXT).line(split_name(name)) == line


def test_a_list_over_thousands_of_lines_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, Any]:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    text = "networks = [\n" + '  "10.0.0.0/8",\n' * 5000 + "] # end\nafter = 1\n"
    assert TomlLines(text).line(("after",)) == 5003
    assert len([each for each in parsed if "10.0.0.0" in each]) == 1


@pytest.mark.parametrize("name", ["", ".", "a.", "a b", "a=1", "a\nb", '"a', "a = 0\nb"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no dotted name"):
        split_name(name)


@pytest.mark.parametrize("path", [("a",), ("a", "b.c", "d"), ('say "x"',), ("back\\slash",), ("é",)])
def test_names_read_back(path: tuple[str, ...]) -> None:
    assert split_name(join_name(path)) == path
