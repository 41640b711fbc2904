import re
import tomllib
from pathlib import Path

from mailwake.config.describe import example_toml, settings_reference
from mailwake.config.fields import Section, fields_of
from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.config.sink_settings import OF_KIND

GOLDEN = Path(__file__).parent.parent / "golden" / "config_example.toml"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$M27jkiwYWGfKXopwAshLJQ$OwK0h8WuUFrVJpKNIbIeH/ipGmEetCpeD8fMiLX+kkk"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="


def uncommented() -> str:
    """The example with every setting and table in use, but for secrets without usable values, and one of two ways."""
    text = re.sub(r"^#(?=[a-z\[])", "", example_toml(), flags=re.MULTILINE)
    text = re.sub(r'^password = "what.*', f'password = "{HASH}"', text, flags=re.MULTILINE)
    text = re.sub(r'^secret = "what.*', f'secret = "{KEY}"', text, flags=re.MULTILINE)
    text = re.sub(r'^hash_secret = "what.*', f'hash_secret = "{KEY[:43]}="', text, flags=re.MULTILINE)
    text = re.sub(r"^trusted_proxies = \[\]", 'trusted_proxies = ["192.0.2.7"]', text, flags=re.MULTILINE)
    text = re.sub(r'^engine = "duckdb"', 'engine = "clickhouse"', text, flags=re.MULTILINE)
    text = re.sub(r"^(?:password_file|next_hop) = .*", "", text, flags=re.MULTILINE)
    return "".join(
        _of_one_kind(part) if part.startswith("[sinks.") else part
        for part in re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    )


def _of_one_kind(table: str) -> str:
    """A sink's table without the settings of other kinds than its own."""
    others = "|".join({name for names in OF_KIND.values() for name in names} - {*OF_KIND["json-lines"]})
    return re.sub(rf"^(?:{others}) = .*", "", table, flags=re.MULTILINE)


def all_tables(table: type) -> list[type]:
    inner = [each.table for each in fields_of(table).values() if each.table is not None]
    return [table, *(found for each in inner for found in all_tables(each))]


def test_the_example_is_as_in_the_golden_file() -> None:
    # After a change that is meant: .venv/bin/mailwake config example > tests/golden/config_example.toml
    assert example_toml() == GOLDEN.read_text(encoding="utf-8")


def test_the_example_loads_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mailwake.toml"
    file.write_text(example_toml())
    assert load(file, host_name="n").settings == load(None, host_name="n").settings


def test_the_example_loads_with_everything_in_use(tmp_path: Path) -> None:
    file = tmp_path / "mailwake.toml"
    file.write_text(uncommented())
    settings = load(file, host_name="n").settings
    default = load(None, host_name="n").settings
    assert settings.tracker.listen.keys() == default.tracker.listen.keys()
    assert settings.spool == default.spool
    assert settings.esmtp_listener.max_message_size == default.esmtp_listener.max_message_size
    assert settings.tracking_domain == "localhost:8080"
    assert settings.esmtp_listener.listen["127.0.0.1:2525"].peer["10.0.0.0/8"].pathway == "newsletters"


def test_the_example_names_every_setting() -> None:
    def names(value: object) -> set[str]:
        if isinstance(value, list):
            return {found for item in value for found in names(item)}
        if not isinstance(value, dict):
            return set()
        return set(value) | {found for item in value.values() for found in names(item)}

    shown = names(tomllib.loads(uncommented())) | {"password_file", "next_hop"}
    shown |= {name for names_of_kind in OF_KIND.values() for name in names_of_kind if f"\n#{name} = " in example_toml()}
    assert {name for table in all_tables(Settings) for name in fields_of(table)} <= shown


def test_every_setting_and_section_has_a_sentence() -> None:
    for table in all_tables(Settings):
        for each in fields_of(table).values():
            assert each.marker.doc.endswith("."), each.name
            assert each.marker.doc[0].isupper(), each.name


def test_every_setting_without_a_default_says_what_that_means() -> None:
    for table in all_tables(Settings):
        for each in fields_of(table).values():
            if isinstance(each.marker, Section) or each.required:
                continue
            if each.default in (None, "") and each.marker.final is None:
                assert each.marker.unset, each.name
                assert each.marker.example, each.name


def test_the_reference_names_every_table_and_setting() -> None:
    reference = settings_reference()
    tables = (
        "[esmtp_listener]",
        "[pathway.NAME]",
        "[accounts.NAME]",
        "[tracker]",
        "[relay]",
        "[[relay.hop]]",
        "[relays.NAME]",
        "[customers.NAME]",
        "[spool]",
        "[[keys.secrets]]",
    )
    for header in tables:
        assert f"\n## `{header}`\n" in reference
    for table in all_tables(Settings):
        for name, each in fields_of(table).items():
            assert isinstance(each.marker, Section) or f"`{name}`" in reference


def test_rows_of_the_reference_have_four_cells() -> None:
    rows = [line for line in settings_reference().splitlines() if line.startswith("| `")]
    assert rows
    assert all(row.count(" | ") == 3 for row in rows)
