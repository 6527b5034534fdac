"""Checks before every request: password, origin, rate and size; and headers that restrict browsers."""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hearsight.app.settings import LOCAL, Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

QUEUE = "/queue"  # mount path of Gradio
# The page needs these of Gradio's many routes; its uploads, files, proxies and recordings are closed.
_QUEUE_ROUTES = {
    ("POST", f"{QUEUE}/gradio_api/queue/join"),
    ("GET", f"{QUEUE}/gradio_api/queue/data"),
}
_LARGEST_BODY = 1 << 18  # of any request but an upload
_COOKIE = "hearsight-page"
_TRIES, _TRIES_S = 10, 60.0  # number of password attempts per address, and the time that they count for
_HEADERS = {
    # Nothing is loaded from another host, whatever the page or a library in it requests.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    # With no-referrer, browsers send no origin with a form, and the password would be refused.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware.

    A page that only this machine can reach answers only to its own host names, so that another site cannot redirect its
    name here (DNS rebinding); and requests that change anything are accepted only from pages of the same origin.

    Args:
        app: application behind it.
        settings: password, host and proxy.
        open_paths: paths without a password.
    """

    def __init__(self, app: Application, settings: Settings, open_paths: frozenset[str] = frozenset()) -> None:
        self._app, self._settings, self._open_paths = app, settings, open_paths
        self._key = secrets.token_bytes(32)
        self._headers = dict(_HEADERS)
        if not settings.behind_proxy:  # a Hugging Face Space shows the page in a frame
            self._headers["content-security-policy"] += "; frame-ancestors 'self'"
        self._tries: dict[str, list[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSockets here
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        scope["hearsight.address"] = address_of(scope, headers, self._settings.behind_proxy)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                extra = [(n.encode(), v.encode()) for n, v in self._headers.items() if n.encode() not in given]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        if not self._is_addressed(headers):
            await answer(send_safely, 421, "this page has another address")
        elif method not in ("GET", "HEAD", "POST", "DELETE"):
            await answer(send_safely, 405, "not a method of this page")
        elif method in ("POST", "DELETE") and not _is_same_origin(headers):
            await answer(send_safely, 403, "asked from a page of another site")
        elif path == "/login" and method == "POST" and self._settings.password is not None:
            await self._login(scope, _limited(receive, send_safely, _LARGEST_BODY), send_safely)
        elif not self._is_let_in(headers) and path not in self._open_paths:
            await self._ask(scope, send_safely)
        elif path.startswith(QUEUE) and (method, path) not in _QUEUE_ROUTES:
            await answer(send_safely, 404, "not here")
        elif method == "POST" and path != "/clips" and _too_long(headers, _LARGEST_BODY):
            await answer(send_safely, 413, "too much")
        else:
            bounded = receive if path == "/clips" else _limited(receive, send_safely, _LARGEST_BODY)
            await self._app(scope, bounded, send_safely)

    def _is_addressed(self, headers: dict[str, str]) -> bool:
        if not self._settings.is_local or self._settings.behind_proxy:
            return True
        return _host(headers.get("host", "")) in LOCAL

    def _is_let_in(self, headers: dict[str, str]) -> bool:
        password = self._settings.password
        if password is None:
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._pass().encode())

    def _pass(self) -> str:
        assert self._settings.password is not None
        return hmac.new(self._key, self._settings.password.encode(), hashlib.sha256).hexdigest()

    async def _ask(self, scope: Scope, send: Send) -> None:
        """Ask for the password; a link may contain it (`/?password=...`)."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("password")
        if scope["path"] == "/" and given is not None:
            await self._check(scope, given[0], send)
        elif scope["path"] == "/":
            await answer(send, 401, _LOGIN.replace("{words}", ""), "text/html; charset=utf-8")
        else:
            await answer(send, 401, "this page needs its password")

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        await self._check(scope, parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0], send)

    async def _check(self, scope: Scope, given: str, send: Send) -> None:
        assert self._settings.password is not None
        now, address = time.monotonic(), scope["hearsight.address"]
        self._tries = {who: [t for t in tries if t > now - _TRIES_S] for who, tries in self._tries.items()}
        tries = self._tries.setdefault(address, [])
        if len(tries) >= _TRIES:
            await answer(send, 429, "too many passwords were tried; wait a minute")
        elif hmac.compare_digest(given.encode(), self._settings.password.encode()):
            secure = "; Secure" if scope.get("scheme") == "https" else ""
            cookie = f"{_COOKIE}={self._pass()}; HttpOnly; SameSite=Lax; Path=/{secure}"
            await answer(send, 303, "", extra={"location": "./", "set-cookie": cookie})
        else:
            tries.append(now)
            page = _LOGIN.replace("{words}", "That is not the password.")
            await answer(send, 401, page, "text/html; charset=utf-8")


_LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>hearsight</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="stylesheet" href="static/style.css">
<main class="login"><h1>hearsight</h1><form method="post" action="login">
<label>Password <input type="password" name="password" autofocus autocomplete="current-password"></label>
<button>Open</button><p role="alert">{words}</p></form></main></html>"""


async def answer(
    send: Send, status: int, text: str, content_type: str | None = None, extra: dict[str, str] | None = None
) -> None:
    """Send a short answer; without a content type, as JSON with the text under "error"."""
    body = (json.dumps({"error": text}) if content_type is None else text).encode()
    headers = {
        "content-type": content_type or "application/json",
        "content-length": str(len(body)),
        **(extra or {}),
    }
    start = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def address_of(scope: Scope, headers: dict[str, str], behind_proxy: bool) -> str:
    """Address of the client; behind a proxy, the last one that the proxy names: earlier ones can be forged."""
    if behind_proxy and headers.get("x-forwarded-for"):
        return headers["x-forwarded-for"].split(",")[-1].strip()
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def _is_same_origin(headers: dict[str, str]) -> bool:
    """Whether a request comes from the page itself; browsers name the origin of a page, other programs need not."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("x-forwarded-host", headers.get("host", ""))


def _host(netloc: str) -> str:
    match = re.fullmatch(r"\[?([^\]]*?)\]?(:\d+)?", netloc)
    return match[1].lower() if match else ""


def _too_long(headers: dict[str, str], most: int) -> bool:
    length = headers.get("content-length", "0")
    return not length.isdigit() or int(length) > most


def _limited(receive: Receive, send: Send, most: int) -> Receive:
    """Wrap `receive` so that a body beyond the limit ends as if the client had disconnected."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return {"type": "http.disconnect"} if received > most else message

    return bounded
