"""`hearsight study`: makes, serves and analyses listening studies."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar

study = typer.Typer(help="Listening studies: make one, serve it, analyse its answers.", no_args_is_help=True)


@study.command()
@one_line_errors
def make(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="BENCHMARK|FOLDER",
            help="The results of `hearsight benchmark`, or a folder with a folder of predictions for each system.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="STUDY", help="The study's folder.")],
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME[:PART,...]|FILE.yaml",
            help="2.5d-visual-sound, sep-stereo, pseudobinaural, mushra, or a file of your own.",
        ),
    ] = "mushra",
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="binaural_audios/, videos/, scenes/ or directions.csv of the clips, if not in FOLDER.",
        ),
    ] = None,
    systems: Annotated[
        list[str] | None, typer.Option("--system", help="Only these systems, in this order (repeatable).")
    ] = None,
    ours: Annotated[
        str | None, typer.Option(help="The system that is paired with each other one; the last by default.")
    ] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Clips in each part.")] = None,
    per_listener: Annotated[int | None, typer.Option(min=1, help="Pages of each part that a listener gets.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of all random choices.")] = None,
    rate: Annotated[
        int | None, typer.Option(min=8000, help="Sample rate of all sounds; the lowest by default.")
    ] = None,
    contact: Annotated[str, typer.Option(help="Address to which listeners without a server send their answers.")] = "",
    webmushra: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write it as a configuration of webMUSHRA.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a study: a folder that listeners open from a disk, from any web server, or from `hearsight study serve`.

    STUDY/public is for listeners. STUDY/study.json is the key of sounds to systems; keep it private.

    Example: hearsight study make benchmark -o study --preset pseudobinaural:preference,direction
    """
    import dataclasses

    from hearsight.studies import export_webmushra, find_material, make_study, read_study

    chosen = read_study(preset)
    parts = []
    for part in chosen.parts:
        parts.append(
            dataclasses.replace(
                part,
                systems=systems or part.systems,
                ours=ours if ours is not None and part.page == "choice" else part.ours,
                items=items or part.items,
                per_listener=per_listener or part.per_listener,
            )
        )
    seed = chosen.seed if seed is None else seed
    chosen = dataclasses.replace(chosen, parts=parts, seed=seed, contact=contact or chosen.contact)
    with progress_bar("making the study", "", quiet) as progress:
        made = make_study(chosen, find_material(source, dataset), out, progress, rate)
    notes = list(made.notes)
    if webmushra is not None:
        notes += [f"webMUSHRA: {note}" for note in export_webmushra(out, webmushra)]
    if not quiet:
        print(
            f"{out}: {made.pages} pages for each listener; open {out / 'public' / 'index.html'}, or run: "
            f"hearsight study serve {out}"
        )
        for note in notes:
            print(f"note: {note}")


@study.command()
@one_line_errors
def serve(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder that `study make` wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")] = 8000,
    host: Annotated[str, typer.Option(help="0.0.0.0 for listeners on other machines.")] = "127.0.0.1",
    most_mb: Annotated[int, typer.Option(min=1, help="Largest size of the file of answers.")] = 200,
    quiet: Quiet = False,
) -> None:
    """Serve a study to several listeners at once; their answers are appended to STUDY/answers.jsonl.

    An answer that the page reports as stored is on the disk. No address and no time of day is kept. For listeners
    elsewhere, put a web server with TLS in front of it.

    Example: hearsight study serve study --port 8000
    """
    from hearsight.studies import StudyServer

    server = StudyServer(folder, host, port, most_mb * 1_000_000)
    if not quiet:
        print(f"{server.url} (Ctrl-C ends it; answers: {server.answers.path})", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


@study.command()
@one_line_errors
def analyse(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder that `study make` wrote.")],
    answers: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[ANSWERS]...",
            help="Files that listeners saved, or folders of them; STUDY/answers.jsonl by default.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; STUDY/results by default.")
    ] = None,
    screening: Annotated[
        bool, typer.Option("--screening/--no-screening", help="Leave out who fails the rules.")
    ] = True,
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Keep who has not come to the end.")] = False,
    quiet: Quiet = False,
) -> None:
    """Analyse the answers: excluded listeners with reasons, tables as in the papers, intervals, tests, plots, an HTML
    page.

    Example: hearsight study analyse study answers-*.jsonl -o results
    """
    from hearsight.studies import analyse_study, write_analysis

    files = write_analysis(analyse_study(folder, answers or (), screening, incomplete), out or folder / "results")
    if not quiet:
        print(files["tables.md"].read_text(encoding="utf-8"))
        print(f"report: {files['report.html']}")
