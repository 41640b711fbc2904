from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwake.errors import StartupError
from mailwake.service.ports import Bound, Ports
from mailwake.service.unix_sockets import FileAccess, bind_unix, close_and_remove


@pytest.fixture
def ports() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/smtp.sock"


def _bind(ports: Ports, address: str, workers: int = 2, access: FileAccess | None = None) -> Bound:
    bound = ports.bind([("smtp", [address], workers)], {address: access or FileAccess()})
    bound.listen()
    ports.keep(bound)
    return bound


def _path(address: str) -> Path:
    return Path(address.removeprefix("unix:"))


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(_path(address)))
        except OSError:
            return False
        return True


def test_all_workers_share_one_socket(ports: Ports, address: str) -> None:
    bound = _bind(ports, address, 3)
    shares = [bound.of_worker("smtp", index, 3) for index in range(3)]
    assert len({each for share in shares for _, each in share}) == 1
    assert [name for share in shares for name, _ in share] == [address] * 3
    assert bound.names("smtp") == {address: address}


def test_the_mode_is_set_before_anybody_can_connect(ports: Ports, address: str) -> None:
    bound = ports.bind([("smtp", [address], 1)], {address: FileAccess(0o606)})
    assert not _answers(address)
    bound.listen()
    ports.keep(bound)
    assert stat.S_IMODE(_path(address).stat().st_mode) == 0o606
    assert _answers(address)


def test_the_group_is_set(ports: Ports, address: str) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    _bind(ports, address, access=FileAccess(0o620, group))
    assert _path(address).stat().st_gid == os.getgid()
    assert stat.S_IMODE(_path(address).stat().st_mode) == 0o620


def test_an_unknown_group_is_one_line(ports: Ports, address: str) -> None:
    bound = ports.bind([("smtp", [address], 1)], {address: FileAccess(0o660, "no-such-group")})
    with pytest.raises(StartupError, match="there is no group 'no-such-group'"):
        bound.listen()
    bound.close_new()
    assert not _path(address).exists()


def test_a_stale_file_is_replaced(ports: Ports, address: str) -> None:
    left = bind_unix(str(_path(address)), "smtp")
    left.listen()
    left.close()
    assert _path(address).exists()
    _bind(ports, address)
    assert _answers(address)


def test_a_live_socket_is_left_alone(ports: Ports, address: str) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(_path(address)))
        other.listen()
        with pytest.raises(StartupError, match="another program listens there"):
            _bind(ports, address)
        assert _answers(address)


def test_a_live_socket_with_a_full_queue_is_left_alone(ports: Ports, address: str) -> None:
    with contextlib.ExitStack() as open_sockets:
        other = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
        other.bind(str(_path(address)))
        other.listen(0)
        clients = [open_sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(10)]
        assert BlockingIOError in [_try(client, address) for client in clients]
        with pytest.raises(StartupError, match="another program listens there"):
            _bind(ports, address)


def _try(client: socket.socket, address: str) -> type[OSError] | None:
    client.setblocking(False)
    try:
        client.connect(str(_path(address)))
    except OSError as error:
        return type(error)
    return None


def test_a_file_that_is_no_socket_is_left_alone(ports: Ports, address: str) -> None:
    _path(address).write_text("precious")
    with pytest.raises(StartupError, match="is no socket"):
        _bind(ports, address)
    assert _path(address).read_text() == "precious"


def test_a_missing_directory_is_one_line(ports: Ports, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="its directory does not exist"):
        _bind(ports, f"unix:{tmp_path}/none/smtp.sock")


def test_a_reload_keeps_the_socket_and_what_waits_in_its_queue(ports: Ports, address: str) -> None:
    first = _bind(ports, address)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(_path(address)))
        second = _bind(ports, address, 1, FileAccess(0o666))
        assert first.groups == second.groups
        assert stat.S_IMODE(_path(address).stat().st_mode) == 0o666
        ((_, listening),) = second.of_worker("smtp", 0, 1)
        listening.accept()[0].close()


def test_a_refused_reload_leaves_the_socket(ports: Ports, address: str, tmp_path: Path) -> None:
    _bind(ports, address)
    change = ports.bind([("smtp", [address, f"unix:{tmp_path}/other.sock"], 1)], {})
    change.close_new()
    assert _answers(address)
    assert not (tmp_path / "other.sock").exists()


def test_the_file_goes_with_the_address_and_at_the_end(address: str, tmp_path: Path) -> None:
    ports = Ports()
    other = f"unix:{tmp_path}/other.sock"
    _bind(ports, address)
    _bind(ports, other)
    assert not _path(address).exists()
    ports.close()
    assert not _path(other).exists()


def test_the_file_of_another_program_is_never_removed(ports: Ports, address: str) -> None:
    ours = bind_unix(str(_path(address)), "smtp")
    ours.listen()
    _path(address).unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(_path(address)))
        other.listen()
        close_and_remove(ours)
        assert _answers(address)


def test_a_socket_of_systemd_is_used_as_it_is(address: str) -> None:
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(_path(address)))
    _path(address).chmod(0o600)
    given.listen()
    ports = Ports([given])
    bound = _bind(ports, address)
    assert bound.groups == {("smtp", address): [given]}
    assert stat.S_IMODE(_path(address).stat().st_mode) == 0o600
    ports.close()
    assert _path(address).exists()  # it is systemd's
