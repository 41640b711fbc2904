"""The configured routes as the relay gets them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.errors import StartupError
from mailwake.relay.settings import RelaySettings
from mailwake.service.next_hops import check_next_hops, hops_by_route, next_hop_lines

Read = Callable[[str], Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def settings(text: str) -> Settings:
        file = tmp_path / "m.toml"
        file.write_text(text)
        return load(file, host_name="me.example").settings

    return settings


def test_a_next_hop_alone_is_as_it_always_was(read: Read) -> None:
    (hop,) = hops_by_route(read('[relay]\nnext_hop = "a.example:25"'))[""]
    assert hop.settings == RelaySettings(
        "a.example",
        25,
        helo_name="me.example",
        idle_seconds=60,
        connect_timeout=30,
        greeting_timeout=60,
        command_timeout=60,
        content_timeout=600,
    )


def test_hops_have_the_options_of_their_route_but_for_their_own(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim\n")
    routes = hops_by_route(
        read(
            f"""
            [relay]
            tls = "verify"
            username = "all"
            password = "one"
            max_in_flight = 2
            [[relay.hop]]
            address = "a.example:465"
            implicit_tls = true
            tls_name = "b.example"
            username = "own"
            password_file = "{tmp_path}/secret"
            [[relay.hop]]
            address = "unix:/run/mail"
            priority = 20
            protocol = "lmtp"
            tls_ca_file = "{tmp_path}/ca.pem"
            [relays.bulk]
            next_hop = "c.example:25"
            """
        )
    )
    first, second = routes[""]
    assert (first.settings.host, first.settings.port, first.settings.unix_path) == ("a.example", 465, "")
    assert (first.settings.username, first.settings.password) == ("own", "geheim")
    assert (first.settings.implicit_tls, first.settings.tls_name, first.settings.tls) == (True, "b.example", "verify")
    assert (second.settings.unix_path, second.settings.protocol, second.priority) == ("/run/mail", "lmtp", 20)
    assert (second.settings.username, second.settings.password) == ("all", "one")
    assert second.settings.ca_file == f"{tmp_path}/ca.pem"
    assert {hop.settings.max_in_flight for hop in routes[""]} == {2}
    # A further route shares nothing with the default one, least of all its password.
    (other,) = routes["bulk"]
    assert (other.settings.username, other.settings.tls, other.settings.max_in_flight) == ("", "may", 4)


def test_what_cannot_be_used_is_said_with_its_place(read: Read, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"^relay\.next_hop: no next hop is configured"):
        check_next_hops(read(""))
    text = f'[[relays.x.hop]]\naddress = "a:1"\nusername = "u"\npassword_file = "{tmp_path}/none"\n'
    with pytest.raises(StartupError, match=r"^relays\.x\.hop\.0\.password_file: cannot read a password"):
        check_next_hops(read(f'{text}[relay]\nnext_hop = "b:1"'))
    with pytest.raises(StartupError, match=r"none\.pem"):
        check_next_hops(read(f'[relay]\nnext_hop = "b:1"\ntls_ca_file = "{tmp_path}/none.pem"'))


async def test_the_start_names_every_hop_and_says_which_do_not_answer(read: Read) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        up, down = (f"127.0.0.1:{each.getsockname()[1]}" for each in (server, closed))
        thread = threading.Thread(target=_answer, args=(server, 2))
        thread.start()
        lines = await next_hop_lines(
            read(
                f'[[relay.hop]]\naddress = "{up}"\n[[relay.hop]]\naddress = "{down}"\nweight = 3\n'
                f'[relays.bulk]\nnext_hop = "{up}"\n[relays.gone]\nnext_hop = "{down}"'
            )
        )
        thread.join(30)
    assert lines[0] == f"next hop {up}, priority 10, weight 1"
    assert lines[1].startswith(f"next hop {down}, priority 10, weight 3 does not answer yet (cannot connect: ")
    assert "451" not in lines[1]
    assert lines[2] == f"next hop {up} of relay bulk"
    assert lines[3].startswith(f"next hop {down} of relay gone does not answer yet (")
    assert lines[3].endswith("; senders get 451 until it does")


async def test_where_mail_is_taken_into_the_spool_no_sender_gets_451(read: Read) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = f"127.0.0.1:{closed.getsockname()[1]}"
        (line,) = await next_hop_lines(read(f'[relay]\nnext_hop = "{down}"\n[spool]\nacceptance = "spool"'))
    assert line == (
        f"next hop {down} does not answer yet (cannot connect: Connection refused); "
        "its mail waits in the spool until it does"
    )


def _answer(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            for reply in (b"220 hop\r\n", b"250 hop\r\n", b"221 bye\r\n"):
                connection.sendall(reply)
                connection.recv(1000)
