import os
from pathlib import Path

import pytest

from mailwake.config import momentum_files
from mailwake.config.momentum_files import MomentumConfiguration, read_momentum
from mailwake.config.momentum_syntax import MAX_DEPTH, MomentumError


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> None:
    """Write files: `conf_d__x` is conf.d/x.conf."""
    for name, text in files.items():
        file = Path(name.replace("__", "/").replace("conf_d", "conf.d") + ".conf")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def read(**files: str) -> MomentumConfiguration:
    """Write files and read the one that is named `main`."""
    write(**files)
    return read_momentum(Path("main.conf"))


def options(found: MomentumConfiguration) -> dict[str, tuple[object, str]]:
    return {name: (given.value, str(given.place)) for name, given in found.root.options.items()}


def problem(**files: str) -> str:
    with pytest.raises(MomentumError) as caught:
        read(**files)
    return str(caught.value)


def test_names_know_no_case_and_the_last_value_counts() -> None:
    assert options(read(main="Open = 1\nOPEN = 2\n")) == {"open": ("2", "main.conf:2")}


def test_stanzas_of_one_name_and_instance_are_one() -> None:
    found = read(main='Listen "a" { b = 1 c = 1 }\nlisten "a" { c = 2 }\nListen "b" {}\n')
    first, second = found.root.named("listen")
    assert (first.title, first.count, str(first.place)) == ('Listen "a"', 2, "main.conf:1")
    assert {name: given.value for name, given in first.options.items()} == {"b": "1", "c": "2"}
    assert second.instance == "b"


def test_an_include_stands_for_the_file_also_inside_a_stanza() -> None:
    found = read(main='x = 1\nA { include "sub/one.conf" }\n', sub__one='include "two.conf"\ny = 2', sub__two="z = 3")
    assert found.root.options.keys() == {"x"}
    assert {name: str(given.place) for name, given in found.root.named("a")[0].options.items()} == {
        "z": "sub/two.conf:1",
        "y": "sub/one.conf:2",
    }
    assert found.files == [Path("main.conf"), Path("sub/one.conf"), Path("sub/two.conf")]


def test_of_a_directory_all_files_are_read_by_name_but_not_the_hidden_ones() -> None:
    found = read(
        main='include "conf.d"',
        conf_d__b="x = b",
        conf_d__a="x = a",
        conf_d__inner__c="x = c",
        **{"conf_d__.z": "x = z"},
    )
    assert options(found) == {"x": ("b", "conf.d/b.conf:1")}


def test_the_search_path_comes_after_the_directory_of_the_including_file(tmp_path: Path) -> None:
    write(main='include "here.conf" include "far.conf"', here="x = near", etc__here="x = far", etc__far="y = 1")
    found = read_momentum(Path("main.conf"), search_path=[Path("nowhere"), Path("etc")])
    assert options(found) == {"x": ("near", "here.conf:1"), "y": ("1", "etc/far.conf:1")}
    assert options(read(main=f'include "{tmp_path}/here.conf"'))["x"][0] == "near"
    assert options(read(main=f'include "file://{tmp_path}/here.conf"'))["x"][0] == "near"


def test_a_file_may_be_included_twice() -> None:
    assert read(main='A { include "x.conf" } B { readonly_include "x.conf" }', x="y = 1").root.named("b")[0].options


def test_the_local_changes_are_read_last_and_need_not_be_there() -> None:
    found = read(main='Local_Changes_File = "local.conf"\nx = 1', local="x = 2")
    assert options(found) == {"x": ("2", "local.conf:1")}
    found = read(main='Local_Changes_File = "nowhere.conf"\nx = 1')
    assert [(str(place), name) for place, name in found.missing] == [("main.conf:1", "nowhere.conf")]


def test_a_missing_include_is_an_error_unless_it_is_to_be_passed_over() -> None:
    assert problem(main='\nA { include "no.conf" }') == (
        "main.conf:2: includes 'no.conf', which is not there; bring the file, or pass over it with --skip-missing"
    )
    write(main='include "no.conf" include "https://x/y" include "" x = 1')
    found = read_momentum(Path("main.conf"), skip_missing=True)
    assert [name for _, name in found.missing] == ["no.conf", "https://x/y", ""]
    assert options(found)["x"][0] == "1"


def test_includes_in_a_circle() -> None:
    assert problem(main='x = 1\ninclude "main.conf"') == (
        "main.conf:2: includes main.conf, from which it is included itself; take the include out"
    )
    told = problem(
        main='include "sub/one.conf"', sub__one='A { include "two.conf" }', sub__two='\ninclude "../main.conf"'
    )
    assert told.startswith("sub/two.conf:2: includes sub/../main.conf, from which it is included itself")


def test_includes_that_go_too_deep() -> None:
    files = {f"f{number}": f'include "f{number + 1}.conf"' for number in range(30)}
    assert "20 files include each other" in problem(main='include "f0.conf"', **files)
    files = {f"f{number}": "A {" * 40 + f' include "f{number + 1}.conf" ' + "}" * 40 for number in range(5)}
    assert problem(main='include "f0.conf"', f5="", **files).startswith(
        f"f1.conf:1: more than {MAX_DEPTH} stanzas are open inside each other"
    )


def test_too_much_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    doubling = {f"f{number}": f'include "f{number + 1}.conf"\n' * 2 for number in range(15)}
    monkeypatch.setattr(momentum_files, "MAX_FILES", 100)
    assert "more than 8 MiB or 100 files belong to the configuration" in problem(
        main='include "f0.conf"', f15="", **doubling
    )
    monkeypatch.setattr(momentum_files, "MAX_OCTETS", 1000)
    assert "main.conf: with it, more than" in problem(main="#" * 1001)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MomentumError, match=r"no\.conf: cannot be read: No such file or directory"):
        read_momentum(Path("no.conf"))
    with pytest.raises(MomentumError, match=r"is no file; name an ecelerity\.conf"):
        read_momentum(tmp_path)
    Path("latin.conf").write_bytes(b"# caf\xe9")
    assert problem(main='include "latin.conf"') == "latin.conf: is not UTF-8 at octet 5; save it as UTF-8"
    os.mkfifo("pipe.conf")
    assert problem(main='include "pipe.conf"') == "pipe.conf: is no file; name an ecelerity.conf"


def test_a_mark_of_the_byte_order_is_no_text() -> None:
    Path("bom.conf").write_bytes(b"\xef\xbb\xbfx = 1")
    assert options(read(main='include "bom.conf"')) == {"x": ("1", "bom.conf:1")}


def test_a_mistake_in_an_included_file_names_that_file() -> None:
    assert problem(main='include "conf.d/a.conf"', conf_d__a="\nx =").startswith(
        "conf.d/a.conf:2: expected a value for x"
    )
