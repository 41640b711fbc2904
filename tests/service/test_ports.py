from __future__ import annotations

import socket
from collections.abc import Iterator

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
