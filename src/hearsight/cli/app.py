"""`hearsight app`: web page for binauralizing videos."""

import os
import sys
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors


@one_line_errors
def app(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="P", help="Port to listen on; 0: any that is free.")
    ] = 7860,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets other machines in, then give a password."
        ),
    ] = "127.0.0.1",
    password: Annotated[
        str | None,
        typer.Option(
            envvar="HEARSIGHT_APP_PASSWORD",
            show_envvar=True,
            help="Password that visitors must give. Other users of this machine can read it here, not in the variable.",
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option(min=1, metavar="MB", help="Largest upload.")] = 500.0,
    max_minutes: Annotated[float, typer.Option(min=0.05, metavar="MIN", help="Longest clip.")] = 5.0,
    clips_per_hour: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Largest number of uploads from one address in an hour; 0: any number."),
    ] = 60,
    max_clips: Annotated[int, typer.Option(min=1, metavar="N", help="Number of clips kept at a time.")] = 60,
    keep_minutes: Annotated[
        float, typer.Option(min=1, metavar="MIN", help="Time without use after which a clip is deleted.")
    ] = 60.0,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Number of clips computed at a time.")] = 1,
    max_job_minutes: Annotated[
        float,
        typer.Option(min=0.1, metavar="MIN", help="Time after which a job is given up in favour of those who wait."),
    ] = 10.0,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy", help="Count visitors by the header X-Forwarded-For, which a proxy in front must set."
        ),
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Serve a web page that makes a video binaural and shows, plays and moves its sources. Ctrl+C ends it.

    Example: hearsight app

    Example: HEARSIGHT_APP_PASSWORD=... hearsight app --host 0.0.0.0 --max-minutes 3
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hearsight.app.server import serve
    from hearsight.app.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        password=password,
        largest_mb=max_mb,
        longest_s=60 * max_minutes,
        clips_per_hour=clips_per_hour or None,
        most_clips=max_clips,
        kept_s=60 * keep_minutes,
        workers=jobs,
        longest_job_s=60 * max_job_minutes,
        behind_proxy=behind_proxy,
    )

    def ready(address: str) -> None:
        if not quiet:
            print(f"{address}  (Ctrl+C ends it)")
            if not settings.is_local and settings.password is None:
                print("note: everyone who reaches this machine can use it; --password lets in who knows it")
            sys.stdout.flush()
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    serve(settings, ready)
