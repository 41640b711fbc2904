"""`mailwake demo`: a store full of a made-up agency's mail, and the service with its dashboard beside it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailwake.cli.demo_data import DemoData
from mailwake.cli.demo_service import DemoService, check_free
from mailwake.cli.log_in_link import log_in_link
from mailwake.dashboard.own_paths import HOME
from mailwake.errors import StartupError
from mailwake.service.run import DEFAULT_ADMIN

if TYPE_CHECKING:
    from types import FrameType

_SMTP, _TRACKER, _API = "127.0.0.1:2525", "127.0.0.1:8080", "127.0.0.1:8090"


def demo(
    events: Annotated[int, typer.Option(min=1_000, max=50_000_000, help="About how many events.")] = 300_000,
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days they took, up to now.")] = 30,
    seed: Annotated[int, typer.Option(help="Another number makes other people do other things.")] = 7,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Keep all in this directory, which must be new, or a former demo's: that one is shown as it is.",
            show_default="a temporary one, which is removed at the end",
        ),
    ] = None,
    smtp: Annotated[str, typer.Option(help="Take mail here, HOST:PORT.")] = _SMTP,
    tracker: Annotated[str, typer.Option(help="Answer clicks and opens here, HOST:PORT.")] = _TRACKER,
    api: Annotated[str, typer.Option(help="Serve dashboard and API here, HOST:PORT.")] = _API,
    admin: Annotated[str, typer.Option(help="Answer /healthz and /metrics here, HOST:PORT.")] = DEFAULT_ADMIN,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link, and open no browser.")] = False,
) -> None:
    """Show the dashboard with a month of believable events: campaigns, people, machines, prefetches; all made up.

    What runs then is the service itself, delivering into a local maildir, until Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    with ExitStack() as ending:
        try:
            for address, flag in ((smtp, "--smtp"), (tracker, "--tracker"), (api, "--api")):
                check_free(address, flag)
            directory = data if data is not None else _temporary(ending)
            filled = DemoData(directory.absolute())
            filled.make(events, days, seed)
            _show(filled, DemoService(smtp, tracker, api, admin), browser=not no_browser)
        except KeyboardInterrupt:
            sys.stderr.write("\n" if sys.stderr.isatty() else "")


def _show(data: DemoData, service: DemoService, *, browser: bool) -> None:
    with data.key() as key, service.running(data.path) as url, data.living(), log_in_link(url, key) as link:
        typer.echo(f"\nThe dashboard, logged in (once): {link}")
        typer.echo(f"  later: {url}{HOME} with the key {key}\nCtrl-C ends the demo.")
        sys.stdout.flush()
        if browser and _has_desktop():
            with suppress(webbrowser.Error):
                webbrowser.open(link)
        service.wait()


def _temporary(ending: ExitStack) -> Path:
    try:
        directory = Path(tempfile.mkdtemp(prefix="mailwake-demo-"))
    except OSError as error:
        raise StartupError(f"no temporary directory can be made: {error.strerror}; name one with --data") from None
    ending.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _has_desktop() -> bool:
    """Whether a browser would open beside this terminal, and not in it."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
