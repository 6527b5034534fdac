"""`hearsight app`: web page for binauralizing videos."""

import os
import sys
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors


@one_line_errors
def app(
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="P", help="Where it listens; 0: any.")] = 7860,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in; give a password then.")
    ] = "127.0.0.1",
    password: Annotated[
        str | None,
        typer.Option(
            envvar="HEARSIGHT_APP_PASSWORD",
            show_envvar=True,
            help="That visitors must give. Other users of this machine can read it here, not in the variable.",
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option(min=1, metavar="MB", help="Largest upload.")] = 500.0,
    max_minutes: Annotated[float, typer.Option(min=0.05, metavar="MIN", help="Longest clip.")] = 5.0,
    clips_per_hour: Annotated[
        int, typer.Option(min=0, metavar="N", help="Uploads from one address; 0: any number.")
    ] = 60,
    max_clips: Annotated[int, typer.Option(min=1, metavar="N", help="Clips that are kept at a time.")] = 60,
    keep_minutes: Annotated[
        float, typer.Option(min=1, metavar="MIN", help="After so long without use a clip is deleted.")
    ] = 60.0,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Clips that are computed at a time.")] = 1,
    max_job_minutes: Annotated[
        float, typer.Option(min=0.1, metavar="MIN", help="After so long a job is given up, for those who wait.")
    ] = 10.0,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="Count visitors by X-Forwarded-For, as the proxy in front sets it.")
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
