"""`hearsight pseudo`: pseudo visual-stereo pairs from mono clips."""

import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.options import of_form
from hearsight.cli.sharing import Ray, workers_of

_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*"
_NUMBERS = of_form(f"{_NUMBER}(,{_NUMBER})*", "is not numbers with commas between")
_RANGE = of_form(f"{_NUMBER},{_NUMBER}", "give the smallest and the largest, such as 0.8,1")
_SIZE = of_form(r"\d*[02468]x\d*[02468]", "give WIDTHxHEIGHT in pixels, both even, such as 640x360")


def _parsed(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


@one_line_errors
def pseudo(
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="LIST", help="Mono clips, one visible source each: a list (text, CSV, JSON) or a folder."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The data set; completed if it is there.")
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Number of pairs to have in all.")],
    boxes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|whole-frame|detector:NAME",
            help="Places of the sources: a file or folder of boxes (COCO, YOLO, CSV, JSON), the whole "
            "picture (close-ups), or a detector of transformers by Hub name or folder. Boxes in LIST "
            "come first.",
        ),
    ] = None,
    prompt: Annotated[str, typer.Option(help="Query for an open-vocabulary detector.")] = "a person playing a {label}",
    classes: Annotated[
        str, typer.Option(help="Classes that a closed-set detector searches for, separated by commas.")
    ] = "person",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score from which a detected box counts.")] = 0.1,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a pair.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    task: Annotated[
        Literal["binaural", "separation"],
        typer.Option("--task", "--kind", help="Separation: two sources at the edges, one in each channel."),
    ] = "binaural",
    mixing: Annotated[
        str, typer.Option(callback=_NUMBERS, help="Probabilities of 1, 2, 3, ... sources, separated by commas.")
    ] = "0.4,0.5,0.1",
    fov: Annotated[float, typer.Option(metavar="DEGREES", help="Horizontal field of view of the picture.")] = 120.0,
    elevation: Annotated[
        Literal["cylinder", "proportional", "equirectangular"],
        typer.Option(help="The paper's law, the released code's, or that of 360-degree pictures (90 degrees up)."),
    ] = "cylinder",
    canvas: Annotated[
        str,
        typer.Option(
            metavar="WxH", callback=_SIZE, help="Size of the pictures in pixels; the released code composes on 640x360."
        ),
    ] = "480x240",
    resize: Annotated[
        str, typer.Option(metavar="MIN,MAX", callback=_RANGE, help="Range of the random factor of a patch's size.")
    ] = "0.8,1",
    patches: Annotated[
        Literal["level", "natural"],
        typer.Option(help="Scaled by the level of their sound (the paper), or as in their own picture (released)."),
    ] = "level",
    level: Annotated[
        Literal["tied", "equal"],
        typer.Option(help="The random factor scales the sound too, or all sources are equally loud (released)."),
    ] = "tied",
    background: Annotated[
        str, typer.Option(metavar="black|FOLDER", help="Background: black, or a folder of photographs.")
    ] = "black",
    blending: Annotated[
        Literal["auto", "poisson", "paste"], typer.Option(help="Blending of patches; auto: Poisson on photographs.")
    ] = "auto",
    rendering: Annotated[
        Literal["virtual-speakers", "direct", "ambisonic"],
        typer.Option(help="Rendering: the paper's, HRIRs alone, or W + Y and W - Y."),
    ] = "virtual-speakers",
    speakers: Annotated[
        str, typer.Option(help="Layout of the virtual speakers; surround-8 for more than 180 degrees.")
    ] = "frontal-8",
    decoding: Annotated[
        Literal["pseudo-inverse", "projection"],
        typer.Option(help="Decoding to the virtual speakers: equation 7, or the released code's."),
    ] = "pseudo-inverse",
    reverberation: Annotated[
        str | None,
        typer.Option(
            metavar="MIN,MAX",
            callback=_RANGE,
            help="Hear the pairs in simulated rooms of such reverberation times in seconds; the paper's have none.",
        ),
    ] = None,
    hrtf: Annotated[
        Path | None, typer.Option(metavar="FILE.sofa", help="SOFA file of measured ears; KEMAR if not given.")
    ] = None,
    equalize: Annotated[
        bool, typer.Option("--equalize", help="Diffuse-field equalise the ears: less colour, same directions.")
    ] = False,
    keep_hrir_samples: Annotated[
        bool,
        typer.Option(
            "--keep-hrir-samples",
            help="Do not bring the ears to the rate of the sound: 44.1 kHz on 16 kHz, as released, makes delays "
            "2.76 times as long.",
        ),
    ] = False,
    sample_rate: Annotated[int, typer.Option(min=8000, help="Sample rate of the sound in hertz.")] = 16000,
    frame_rate: Annotated[float, typer.Option(min=1, help="Pictures per second of the videos.")] = 10.0,
    shares: Annotated[
        str, typer.Option(callback=_NUMBERS, help="Shares of training, validation and test; no clip is in two.")
    ] = "0.8,0.1,0.1",
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Lists (train.txt, val.txt, test.txt) that say for which part a clip is used; clips that they do not "
            "name are left out. Clips are dealt out at random if not given.",
        ),
    ] = None,
    prepared: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for decoded clips; FOLDER/prepared if not given."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the bytes do not depend on it.")] = 1,
    ray: Ray = None,
    device: Annotated[str, typer.Option(help="Device of the detector: cpu, cuda, ...")] = "cpu",
    quiet: Quiet = False,
) -> None:
    """Make binaural training data from mono videos: pseudo visual-stereo pairs (PseudoBinaural, CVPR 2021).

    Writes FAIR-Play's layout (videos/, binaural_audios/, splits/), a recipe of each pair and a contact sheet. Run it
    again after an interruption, or with more pairs, to complete the set. The same clips, options and seed give the same
    bytes. Unusable clips (unreadable, silent, too short, without box) are named and left out.

    Example: hearsight pseudo clips.csv -o pairs --pairs 1000 --boxes detector:google/owlv2-base-patch16-ensemble
    """
    from hearsight.acoustics import load_hrirs
    from hearsight.pseudo import Backgrounds, PairSettings, prepare_mono_clips, read_clip_list, write_pairs

    settings = PairSettings(
        task=task,
        duration_s=seconds,
        mixing=_parsed(mixing),
        field_of_view=math.radians(fov),
        elevation_law=elevation,
        rendering=rendering,
        speakers=speakers,
        decoding=decoding,
        blending=blending,
        resize=(_parsed(resize)[0], _parsed(resize)[1]),
        patch_scale=patches,
        level=level,
        reverberation_s=None if reverberation is None else (_parsed(reverberation)[0], _parsed(reverberation)[1]),
        canvas=(int(canvas.partition("x")[2]), int(canvas.partition("x")[0])),
        resample_hrirs=not keep_hrir_samples,
    )
    hrirs = load_hrirs(hrtf, diffuse_field_equalized=equalize)
    backgrounds = None if background == "black" else Backgrounds(background)
    listed = read_clip_list(clips)
    finder = _box_source(boxes, prompt, classes, threshold, device)
    with progress_bar("decoding clips", "clips", quiet) as progress:
        decoded = prepare_mono_clips(
            listed, prepared or output / "prepared", finder, sample_rate, shortest_s=seconds, progress=progress
        )
    for one in decoded.left_out:
        print(f"hearsight: left out {one.name}: {one.why}", file=sys.stderr)
    with progress_bar("making pairs", "pairs", quiet) as progress:
        written = write_pairs(
            output,
            decoded,
            pairs,
            settings,
            seed,
            backgrounds,
            hrirs,
            frame_rate,
            _parsed(shares),
            workers_of(ray, workers),
            progress,
            split,
        )
    if not quiet:
        print(
            f"{pairs} pairs in {output} ({written.train} train, {written.val} val, {written.test} test"
            + (f"; {written.kept} were there" if written.kept else "")
            + f") from {len(decoded)} clips"
            + (f", {len(decoded.left_out)} left out" if decoded.left_out else "")
            + f"; see {output / 'contact_sheet.png'}"
        )


def _box_source(boxes: str | None, prompt: str, classes: str, threshold: float, device: str) -> Any:
    from hearsight.pseudo import SourceDetector, read_boxes

    if boxes is None or boxes == "whole-frame":
        return boxes
    if boxes.startswith("detector:"):
        names = tuple(part.strip() for part in classes.split(","))
        return SourceDetector(
            boxes.removeprefix("detector:"), prompt=prompt, classes=names, threshold=threshold, device=device
        )
    return read_boxes(boxes)
