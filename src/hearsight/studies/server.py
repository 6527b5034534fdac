"""Serves a study to several listeners at once and stores their answers, with Python's standard library only.

Access is limited. Only the files of `public/`, listed once, can be read. Only records that the page could have written
can be stored: a few kilobytes each, a limited number per listener, up to a total size. A request must arrive within
seconds, and the number of simultaneous requests is limited. No address and no time of day is kept or printed.
"""

import re
import socket
import threading
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hearsight.errors import HearsightError
from hearsight.studies.answers import LARGEST_RECORD, AnswersFile, RecordChecker
from hearsight.studies.layout import ANSWERS_FILE, PUBLIC, read_made

COLLECT = b'window.COLLECT = "answers";\n'
REQUEST_S = 15.0  # for a request to arrive whole
STALL_S = 30.0  # for a listener to take the next piece of a file
AT_ONCE = 100
MOST_BYTES = 200_000_000
_TYPES = {  # the machine's own table may differ
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mp4": "video/mp4", ".jpg": "image/jpeg"
}  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class StudyServer(ThreadingHTTPServer):
    """Server of one study. `serve_forever()` runs it, `shutdown()` ends it.

    Args:
        folder: folder of the study.
        host, port: address of the server; port 0 takes any free one.
        most_bytes: largest size of the file of answers.
        at_once: largest number of simultaneous requests; further ones are refused with 503.

    Raises:
        DataError: the folder is not a study.
        HearsightError: the port is taken, or the host is not this machine's.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", port: int = 8000, most_bytes: int = MOST_BYTES,
        at_once: int = AT_ONCE,
    ) -> None:  # fmt: skip
        self.checker = RecordChecker(read_made(folder)["public"])
        self.answers = AnswersFile(folder / ANSWERS_FILE, most_bytes)
        self.records: Counter[str] = Counter()
        public = folder / PUBLIC
        self.files = {f"/{path.relative_to(public).as_posix()}": path for path in public.rglob("*") if path.is_file()}
        self.files["/"] = self.files.get("/index.html", public / "index.html")
        self._free = threading.BoundedSemaphore(at_once)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise HearsightError(
                f"{host}:{port}: cannot be listened at ({error}); choose another --port", "occupied"
            ) from error

    @property
    def url(self) -> str:
        """Address for listeners."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a separate thread, or refuse if there are too many requests."""
        if not self._free.acquire(blocking=False):
            with suppress(OSError):
                request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer as in the standard library, then allow another request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore listeners who disconnect during an answer."""


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    server_version, sys_version = "hearsight", ""
    timeout = STALL_S

    def setup(self) -> None:
        super().setup()
        self._late = threading.Timer(REQUEST_S, self._hang_up)
        self._late.daemon = True
        self._late.start()

    def finish(self) -> None:
        self._late.cancel()
        super().finish()

    def do_GET(self) -> None:
        self._late.cancel()
        path = urlsplit(self.path).path
        if path == "/collect.js":
            return self._send(HTTPStatus.OK, COLLECT, "text/javascript")
        file = self.server.files.get(path)
        if file is None:
            return self._send(HTTPStatus.NOT_FOUND)
        body = file.read_bytes()
        content_type = _TYPES.get(file.suffix, "application/octet-stream")
        part = _part(self.headers.get("Range"), len(body))
        if part is None:
            return self._send(HTTPStatus.OK, body, content_type, {"Accept-Ranges": "bytes"})
        begin, end = part
        if begin >= end:
            return self._send(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, more={"Content-Range": f"bytes */{len(body)}"}
            )
        more = {"Content-Range": f"bytes {begin}-{end - 1}/{len(body)}", "Accept-Ranges": "bytes"}
        self._send(HTTPStatus.PARTIAL_CONTENT, body[begin:end], content_type, more)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != "/answers":
            return self._send(HTTPStatus.NOT_FOUND)
        if self.headers.get_content_type() != "application/json":  # other sites' pages may not send this type
            return self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not (length.isascii() and length.isdigit()):
            return self._send(HTTPStatus.LENGTH_REQUIRED)
        if len(length) > 9 or int(length) > LARGEST_RECORD:
            return self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        self._late.cancel()
        if len(body) < int(length):
            return self._send(HTTPStatus.BAD_REQUEST)
        try:
            record = self.server.checker.parse(body)
        except ValueError as error:
            return self._send(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain")
        # The page sends each answer once, and again after network failures; many more are not from the page.
        if self.server.records[record["session"]] >= 5 * self.server.checker.most_records:
            return self._send(HTTPStatus.TOO_MANY_REQUESTS)
        self.server.records[record["session"]] += 1
        try:
            self.server.answers.append(record)
        except (OSError, ValueError):
            return self._send(HTTPStatus.INSUFFICIENT_STORAGE)
        self._send(HTTPStatus.NO_CONTENT)

    def _send(
        self,
        status: HTTPStatus,
        body: bytes = b"",
        content_type: str = "text/plain",
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        text = content_type.startswith("text/")
        for name, value in {
            **_HEADERS,
            "Content-Type": content_type + "; charset=utf-8" * text,
            **(more or {}),
        }.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a log would contain addresses and times."""

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """Requested byte range of a file, as video players use; None for the whole file."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    return int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
