from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwake.errors import StartupError
from mailwake.service.addresses import bound_address
from mailwake.service.ports import Bound, Ports


@pytest.fixture
def ports() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.close()


def _bind(ports: Ports, *wanted: tuple[str, list[str], int]) -> Bound:
    """As a configuration that is accepted."""
    bound = ports.bind(wanted)
    bound.listen()
    ports.keep(bound)
    return bound


def _is_open(each: socket.socket) -> bool:
    return each.fileno() >= 0


def test_port_0_is_chosen_once_and_stays(ports: Ports) -> None:
    first = _bind(ports, ("smtp", ["127.0.0.1:0"], 2))
    second = _bind(ports, ("smtp", ["127.0.0.1:0"], 2))
    assert first.names("smtp") == second.names("smtp")
    assert first.groups == second.groups  # the very same sockets


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_every_socket_has_exactly_one_worker_whatever_their_number(ports: Ports, workers: int) -> None:
    _bind(ports, ("smtp", ["127.0.0.1:0"], 3))
    bound = _bind(ports, ("smtp", ["127.0.0.1:0"], workers))
    shares = [bound.of_worker("smtp", index, workers) for index in range(workers)]
    assert all(shares)
    served = [each for share in shares for _, each in share]
    assert len(served) == len(set(served)) == max(3, workers)
    assert {str(bound_address(each)) for each in served} == set(bound.names("smtp").values())


def test_what_waits_in_a_queue_is_there_after_the_number_of_workers_has_changed(ports: Ports) -> None:
    bound = _bind(ports, ("smtp", ["127.0.0.1:0"], 3))
    address = bound.groups["smtp", "127.0.0.1:0"][0].getsockname()
    clients = [socket.create_connection(address) for _ in range(20)]
    bound = _bind(ports, ("smtp", ["127.0.0.1:0"], 1))
    accepted = []
    for _, each in bound.of_worker("smtp", 0, 1):
        try:
            while True:
                accepted.append(each.accept()[0])
        except BlockingIOError:
            pass
    assert len(accepted) == 20
    for each in (*clients, *accepted):
        each.close()


def test_new_sockets_take_no_connection_before_the_configuration_is_in_force(ports: Ports) -> None:
    bound = ports.bind([("smtp", ["127.0.0.1:0"], 1)])
    (sock,) = bound.groups["smtp", "127.0.0.1:0"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(sock.getsockname())
    bound.listen()
    socket.create_connection(sock.getsockname()).close()
    bound.close_new()
    assert not _is_open(sock)


def test_a_refused_configuration_leaves_the_sockets_in_force_alone(ports: Ports) -> None:
    held = _bind(ports, ("smtp", ["127.0.0.1:0"], 1)).groups["smtp", "127.0.0.1:0"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match="another program listens there"):
            ports.bind([("smtp", ["127.0.0.1:0", f"127.0.0.1:{port}"], 2)])
    bound = ports.bind([("smtp", ["127.0.0.1:0", "127.0.0.2:0"], 2)])
    bound.close_new()
    assert all(_is_open(each) for each in held)
    assert not any(_is_open(each) for each in bound.groups["smtp", "127.0.0.2:0"])


def test_addresses_that_are_wanted_no_more_are_closed(ports: Ports) -> None:
    first = _bind(ports, ("smtp", ["127.0.0.1:0", "127.0.0.2:0"], 1), ("tracker", ["127.0.0.1:0"], 1))
    _bind(ports, ("smtp", ["127.0.0.2:0"], 1), ("tracker", [], 1))
    states = {key: _is_open(group[0]) for key, group in first.groups.items()}
    assert states == {
        ("smtp", "127.0.0.1:0"): False,
        ("smtp", "127.0.0.2:0"): True,
        ("tracker", "127.0.0.1:0"): False,
    }


def test_an_address_that_only_mailwake_itself_holds_is_said_to_be_its_own(ports: Ports) -> None:
    bound = _bind(ports, ("tracker", ["127.0.0.1:0"], 1))
    port = bound.groups["tracker", "127.0.0.1:0"][0].getsockname()[1]
    with pytest.raises(StartupError, match=r"while mailwake itself listens on 127\.0\.0\.1:0; restart"):
        ports.bind([("tracker", [f"0.0.0.0:{port}"], 1)])


@pytest.fixture
def given() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def _text(each: socket.socket) -> str:
    return str(bound_address(each))


def test_a_given_socket_is_the_only_one_of_its_address_and_every_worker_gets_it(given: socket.socket) -> None:
    ports = Ports([given])
    bound = _bind(ports, ("smtp", [_text(given), "127.0.0.1:0"], 3))
    for index in range(3):
        served = bound.of_worker("smtp", index, 3)
        assert served[0][1] is given
        assert len(served) == 2
    ports.refuse_unused()
    more = _bind(ports, ("smtp", [_text(given)], 5))
    assert more.groups == {("smtp", _text(given)): [given]}
    ports.close()


def test_a_given_socket_whose_address_goes_stays_open_and_is_used_when_it_comes_back(given: socket.socket) -> None:
    ports = Ports([given])
    _bind(ports, ("tracker", [_text(given)], 1))
    _bind(ports, ("tracker", ["127.0.0.1:0"], 1))
    assert _is_open(given)
    assert _bind(ports, ("tracker", [_text(given)], 1)).groups["tracker", _text(given)] == [given]
    ports.close()
    assert not _is_open(given)


def test_a_given_socket_that_nobody_wants_is_named(given: socket.socket) -> None:
    ports = Ports([given])
    _bind(ports, ("smtp", ["127.0.0.1:0"], 1))
    with pytest.raises(StartupError, match=f"systemd listens on {_text(given)}, which is no configured address"):
        ports.refuse_unused()
    ports.close()


def test_a_given_socket_is_found_by_the_name_of_its_host_and_taken_once(given: socket.socket) -> None:
    ports = Ports([given])
    address = f"localhost:{given.getsockname()[1]}"
    assert ports.take("127.0.0.1:1", "admin_listen") is None
    assert ports.take(address, "admin_listen") is given
    assert ports.take(address, "admin_listen") is None
    ports.close()


def test_a_given_unix_socket_is_found_by_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "smtp.sock")
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(path)
        given.listen()
        assert Ports([given]).take("unix:/elsewhere", "smtp") is None
        assert Ports([given]).take(f"unix:{path}", "smtp") is given


def test_a_socket_on_all_ipv6_addresses_serves_all_of_ipv4_only_if_it_takes_ipv4() -> None:
    for only, expected in ((1, False), (0, True)):
        with socket.socket(socket.AF_INET6) as given:
            given.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            given.bind(("::", 0))
            port = given.getsockname()[1]
            assert (Ports([given]).take(f":{port}", "smtp") is given) == expected
            assert Ports([given]).take(f"[::]:{port}", "smtp") is given
            assert Ports([given]).take(f"[::1]:{port}", "smtp") is None
