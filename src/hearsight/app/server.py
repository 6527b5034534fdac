"""Server of the page: uploads, files of this package, and Gradio's queue of jobs."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from importlib import resources
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from hearsight.app.clips import Clip, Clips, RefusedError
from hearsight.app.guard import QUEUE, Guard
from hearsight.app.settings import Settings
from hearsight.app.worker import Workers
from hearsight.errors import HearsightError

_PAGE = resources.files("hearsight.app") / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_STATIC = frozenset({"app.js", "sound.js", "server.js", "stage.js", "style.css", "icon.svg"})
_LONGEST_PAUSE_S = 30.0  # in an upload
_SWEEP_S = 30.0
_MOST_WAITING = 1000  # in the queue, most of them without a valid job: a clip has one
_LEFT_FREE = 1 << 30  # bytes of the disk


def make_app(settings: Settings, with_queue: bool = True) -> FastAPI:
    """Make the page as an ASGI application.

    Args:
        settings: limits.
        with_queue: without it there are no jobs, and Gradio is not loaded.
    """
    clips, workers = Clips(settings), Workers(settings.workers, settings.longest_job_s)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(clips))
        warming = asyncio.create_task(workers.warm()) if with_queue else None
        try:
            yield
        finally:
            sweeping.cancel()
            if warming is not None:
                warming.cancel()
            await workers.close()
            clips.close()

    app = FastAPI(lifespan=life, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.clips = clips
    _add_routes(app, clips, settings)
    if with_queue:
        app = _with_queue(app, clips, workers, settings)
    app.add_middleware(Guard, settings=settings, open_paths=frozenset({"/static/style.css", "/static/icon.svg"}))
    return app


async def _sweep(clips: Clips) -> None:
    while True:
        await asyncio.sleep(min(_SWEEP_S, clips.settings.kept_s))
        await asyncio.to_thread(clips.delete_unused)


def _add_routes(app: FastAPI, clips: Clips, settings: Settings) -> None:
    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status)

    @app.get("/")
    async def page() -> Response:
        return _static("index.html")

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in _STATIC:
            raise RefusedError(404, "not here")
        return _static(name)

    @app.get("/limits")
    async def limits() -> dict[str, Any]:
        return {"largest_mb": settings.largest_mb, "longest_s": settings.longest_s, "kept_s": settings.kept_s}

    @app.post("/clips")
    async def upload(request: Request, name: str = "") -> dict[str, str]:
        clip = clips.begin(name, request.scope["hearsight.address"])
        try:
            await _receive(request, clip, round(settings.largest_mb * 1e6), settings.kept_s)
        except BaseException:
            await asyncio.to_thread(clips.delete, clip)
            raise
        return {"token": clip.token, "label": clip.label}

    @app.post("/sample")
    async def sample(request: Request) -> dict[str, str]:
        clip = clips.begin("sample.mp4", request.scope["hearsight.address"])
        return {"token": clip.token, "label": clip.label}

    @app.post("/clips/{token}/job")
    async def give(token: str, request: Request) -> dict[str, str]:
        clip = clips.find(token)
        try:
            job = json.loads(await request.body())
        except (ValueError, RecursionError, ClientDisconnect):
            job = None
        if not isinstance(job, dict):
            raise RefusedError(400, "a job is a JSON object")
        return {"ticket": clips.give(clip, job)}

    @app.post("/clips/{token}/stop")
    async def stop(token: str) -> dict[str, str]:
        clip = clips.find(token)
        clip.ticket, clip.is_stopped = "", True
        return {}

    @app.delete("/clips/{token}")
    async def delete(token: str) -> dict[str, str]:
        clip = clips.find(token)
        clip.is_stopped = True
        await asyncio.to_thread(clips.delete, clip)
        return {}

    @app.get("/clips/{token}/{name}")
    async def file(token: str, name: str, download: bool = False) -> Response:
        clip = clips.find(token)
        path = clip.file(name)
        if path is None:
            raise RefusedError(404, "not here")
        headers = {}
        if download:
            label = quote(f"{clip.stem}.{name}")
            headers["content-disposition"] = f"attachment; filename*=UTF-8''{label}"
        return FileResponse(path, headers=headers)


def _static(name: str) -> Response:
    suffix = os.path.splitext(name)[1]
    headers = {"cache-control": "no-cache"}
    return Response((_PAGE / name).read_bytes(), media_type=_TYPES[suffix], headers=headers)


async def _receive(request: Request, clip: Clip, most: int, kept_s: float) -> None:
    """Write an upload to the clip's source.

    Raises:
        RefusedError: it is larger than allowed, pauses too long, breaks off, or the disk is full.
    """
    too_large = RefusedError(413, f"{clip.label}: is larger than the {most / 1e6:.0f} MB that this page takes")
    length = request.headers.get("content-length")
    if length is not None and (not length.isdigit() or int(length) > most):
        raise too_large
    if shutil.disk_usage(clip.folder).free < _LEFT_FREE + int(length or 0):
        raise RefusedError(507, "the server's disk is full; come back later")
    received, end = 0, time.monotonic() + kept_s
    chunks = request.stream().__aiter__()
    with open(clip.source, "wb") as file:
        while True:
            try:
                chunk = await asyncio.wait_for(chunks.__anext__(), _LONGEST_PAUSE_S)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise RefusedError(408, f"{clip.label}: nothing came for {_LONGEST_PAUSE_S:.0f} s") from None
            except ClientDisconnect:
                raise RefusedError(400, f"{clip.label}: the upload broke off") from None
            received += len(chunk)
            if received > most:
                raise too_large
            if time.monotonic() > end:
                raise RefusedError(408, f"{clip.label}: the upload takes too long")
            await asyncio.to_thread(file.write, chunk)
    if received == 0:
        raise RefusedError(400, f"{clip.label}: is empty (0 bytes)")
    if length is not None and received != int(length):
        raise RefusedError(400, f"{clip.label}: the upload broke off")


def _with_queue(app: FastAPI, clips: Clips, workers: Workers, settings: Settings) -> FastAPI:
    """Mount Gradio's queue in the application."""
    # Otherwise Gradio would report its starts to its makers' server, and ask there for its newest version.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(clips.folder / "gradio"))
    import gradio
    from gradio.events import api

    async def work(ticket: str) -> AsyncGenerator[str]:
        clip = clips.take(ticket)
        if clip is None:
            yield json.dumps({"failed": "this job was replaced by another one, or its clip is not here any more"})
            return
        async with contextlib.aclosing(_worked(clip, workers, settings)) as worked:
            async for news in worked:
                yield json.dumps(news)

    with gradio.Blocks(analytics_enabled=False) as blocks:
        api(work, api_name="work", concurrency_limit=settings.workers, concurrency_id="work")
    blocks.queue(max_size=_MOST_WAITING, default_concurrency_limit=settings.workers)
    mounted: FastAPI = gradio.mount_gradio_app(
        app, blocks, path=QUEUE, ssr_mode=False, run_history=False, footer_links=[], show_error=False
    )
    return mounted


async def _worked(clip: Clip, workers: Workers, settings: Settings) -> AsyncGenerator[dict[str, Any]]:
    job = {
        **clip.job,
        "folder": str(clip.folder),
        "source": str(clip.source),
        "label": clip.label,
        "longest_s": settings.longest_s,
    }
    clip.is_busy = True
    try:
        async with contextlib.aclosing(workers.run(job)) as running:
            async for news in running:
                if clip.is_stopped:
                    yield {"failed": ""}
                    return
                yield news
    finally:
        clip.is_busy = False


def serve(settings: Settings, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve the page until the process is interrupted.

    Args:
        settings: limits.
        ready: called with the page's address once it can be opened.

    Raises:
        HearsightError: the port is taken, or the address is none of this machine.
    """
    try:
        listening = socket.create_server((settings.host, settings.port), family=_family(settings.host))
    except (OSError, OverflowError) as error:
        words = getattr(error, "strerror", None) or error
        raise HearsightError(
            f"{settings.host}:{settings.port}: {words}; name another one (--port, --host)", "occupied"
        ) from None
    import uvicorn

    config = uvicorn.Config(
        make_app(settings),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=30,
        limit_concurrency=500,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    with listening:
        ready(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listening])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
