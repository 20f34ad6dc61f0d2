"""Who may ask the studio: only pages that it gave itself, to whoever has its address."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing but the studio's own files, which hold every script and style; pictures also from memory
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_SEALS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_SAFE = ("GET", "HEAD")


class Guard:
    """Lets requests through that are for this server, and come from its own pages or from its printed address.

    A page of another site can make a browser ask a server on this machine. It cannot read its token, which the address
    holds and then a cookie; it cannot call the server by its own name, which is compared (DNS rebinding); and its
    origin, which browsers tell of all that is posted, is another.

    Args:
        app: what is guarded.
        token: the secret of the address.
        hosts: names of this server with its port, as in `Host`; the first is that of its address.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str]) -> None:
        self.app, self.token, self.hosts = app, token, tuple(hosts)
        self.cookie = f"miex-{self.hosts[0].rpartition(':')[2]}"  # cookies do not tell ports apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no sockets, no lifespan
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in _SEALS if name not in known]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await (self._answer(scope) or self.app)(scope, receive, sealed)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead of an answer; None: the request may go on."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        if headers.get("host") not in self.hosts:
            return _refused("this server is not called so")
        own = f"http://{headers['host']}"
        if scope["method"] not in _SAFE and headers.get("origin") != own:
            return _refused("only pages of the studio may send something")
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if given and scope["method"] in _SAFE:
            if not self._is_token(given[0]):
                return _refused("the token is another one: open the address that miex studio printed")
            here = "/" + scope["path"].lstrip("/")  # two slashes would name another server
            away = RedirectResponse(here, 303)  # the address is kept in no history with its token
            away.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return away
        if headers.get("sec-fetch-site") in ("same-site", "cross-site"):
            return _refused("only pages of the studio may ask")
        if not self._is_kept(headers.get("cookie", "")):
            return _refused("open the address that miex studio printed: it holds a token")
        return None

    def _is_kept(self, cookies: str) -> bool:
        """Whether our cookie is among them; those of other servers on this machine may be odd."""
        pairs = (one.strip().partition("=") for one in cookies.split(";"))
        return any(name == self.cookie and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())


def _refused(why: str) -> Response:
    return PlainTextResponse(f"403: {why}\n", 403)
