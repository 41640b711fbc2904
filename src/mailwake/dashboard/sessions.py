"""Log-ins: a sealed cookie that names the key, and the forms that only its holder's browser can send."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from mailwake.api.errors import ApiError, Fault
from mailwake.control.api_keys import fingerprint
from mailwake.dashboard.sealing import same
from mailwake.dashboard.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from mailwake.api.authentication import Authentication
    from mailwake.clock import Clock
    from mailwake.config.dashboard_settings import Dashboard
    from mailwake.dashboard.proxies import TrustedProxies
    from mailwake.dashboard.sealing import Sealer

TOKEN_FIELD = "form_token"  # noqa: S105  # the name of a field, not a password
_SESSION = "mailwake_session"
_FORM = "mailwake_form"
_NONCE_LENGTH = 22


class _Session(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What the cookie says: the key by its hash, and when the log-in was, in Unix seconds."""

    fingerprint: bytes
    began: int


class Sessions:
    """Knows who sends a request, and begins and ends sessions. The key is looked up anew for each request."""

    def __init__(
        self, sealer: Sealer, who: Authentication, proxies: TrustedProxies, settings: Dashboard, clock: Clock
    ) -> None:
        self._sealer = sealer
        self._who = who
        self._proxies = proxies
        self._lifetime = settings.session_lifetime
        self._clock = clock

    async def viewer(self, request: Request) -> Viewer | None:
        """Who has logged in; None if nobody has, or the key or the session is over. ApiError as of `Authentication`."""
        user = self._proxies.user(request)
        if user is not None:
            return user
        session = self._sealer.open(_SESSION, self._cookie(request, _SESSION), _Session)
        if session is None or not 0 <= self._clock.now() - session.began + 1 <= self._lifetime:
            return None
        key = await self._who.holder(session.fingerprint)
        return None if key is None else Viewer.of_key(key)

    async def log_in(self, request: Request, response: Response, key: str, address: str) -> Viewer:
        """Begin a session with this key; ApiError 401 or 429 when it is none, or too many were none."""
        viewer = Viewer.of_key(await self._who.caller(f"Bearer {key}", address))
        sealed = self._sealer.seal(_SESSION, _Session(fingerprint(key), int(self._clock.now())))
        self._set_cookie(request, response, _SESSION, sealed, age=int(self._lifetime))
        return viewer

    def log_out(self, request: Request, response: Response) -> None:
        """Have the browser forget the session."""
        self._set_cookie(request, response, _SESSION, "", age=0)

    def has_nonce(self, request: Request) -> bool:
        """Whether the browser sent its number, which it sends with every request that one of our pages makes."""
        return self._nonce(request) is not None

    def token(self, request: Request, viewer: Viewer | None) -> tuple[str, str | None]:
        """The token for the forms of a page, and the number that the browser has to be given for it, if it has none."""
        nonce = self._nonce(request)
        made = secrets.token_urlsafe(16) if nonce is None else None
        return self._token_of(nonce or made or "", viewer), made

    def give_nonce(self, request: Request, response: Response, nonce: str) -> None:
        """Have the browser keep its number until it is closed."""
        self._set_cookie(request, response, _FORM, nonce, age=None)

    def check_form(self, request: Request, form: Mapping[str, str], viewer: Viewer | None) -> None:
        """ApiError 403 unless this form was on a page that this very browser was given, for this very viewer."""
        nonce = self._nonce(request)
        token = form.get(TOKEN_FIELD, "")
        if (
            nonce is None
            or not self._from_here(request)
            or not same(self._token_of(nonce, viewer).encode(), token.encode("utf-8", "replace"))
        ):
            raise ApiError(
                Fault.FORBIDDEN,
                "this form was not sent from a page of the dashboard, or that page is too old: go back, load it anew, "
                "and try again. Cookies have to be allowed, and a proxy has to hand on the Host field",
            )

    def _token_of(self, nonce: str, viewer: Viewer | None) -> str:
        return self._sealer.form_token(nonce.encode(), b"" if viewer is None else viewer.identity)

    def _from_here(self, request: Request) -> bool:
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = request.headers.get("origin")  # older browsers, and those that came in clear
        return origin is None or urlsplit(origin).netloc.lower() in self._proxies.hosts(request)

    def _nonce(self, request: Request) -> str | None:
        nonce = self._cookie(request, _FORM)
        return nonce if len(nonce) == _NONCE_LENGTH and nonce.isascii() else None

    def _cookie(self, request: Request, name: str) -> str:
        return request.cookies.get(self._name(request, name), "")

    def _name(self, request: Request, name: str) -> str:
        return f"__Host-{name}" if self._proxies.secure(request) else name  # no other host can set one of that name

    def _set_cookie(self, request: Request, response: Response, name: str, value: str, *, age: int | None) -> None:
        response.set_cookie(
            self._name(request, name),
            value,
            max_age=age,
            path="/",
            secure=self._proxies.secure(request),
            httponly=True,
            samesite="strict",
        )
