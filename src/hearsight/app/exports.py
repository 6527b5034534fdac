"""Files of a scene for download."""

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path

from hearsight.app.scene import Division, Scene
from hearsight.files import write_json, written_whole
from hearsight.inference import Report, default_output
from hearsight.inference.options import Options
from hearsight.inference.preparation import prepare
from hearsight.inference.stem_formats import write_ambix
from hearsight.inference.stem_rendering import rendered
from hearsight.inference.stems import TRACKS
from hearsight.media import fitting_output
from hearsight.progress import Progress


def write_video(scene: Scene, division: Division, source: Path, out: Path, progress: Progress) -> str:
    """Write the visitor's file with the scene's binaural sound: picture copied, levels as in the scene."""
    return _write_video(scene, division, source, out, progress)[0].name


def write_report(scene: Scene, division: Division, source: Path, out: Path, progress: Progress) -> str:
    """Write the report of `binauralize --report`; `--tracks` accepts it."""
    _, report = _write_video(scene, division, source, out, progress)
    write_json(out / "report.json", replace(report, input="", output="").as_json())
    return "report.json"


def write_stems(scene: Scene, division: Division, source: Path, out: Path, progress: Progress) -> str:
    """Write the folder of `hearsight separate`, with the scene's positions and gains, as one archive."""
    with (
        written_whole(out / "stems.zip") as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        stems = division.placed(scene)
        for number, stem in enumerate(stems.stems):
            progress(number, len(stems.stems))
            archive.write(stem.path, stem.path.name, compresslevel=1)
        described = json.loads((stems.folder / TRACKS).read_text(encoding="utf-8"))
        described["input"] = ""
        for entry, stem, part in zip(described["sources"], stems.stems, division.parts(scene), strict=False):
            gain_db = 20 * math.log10(part.gain) if part.gain else 0.0
            if stem.source is not None:
                entry |= stem.source.as_json() | {"gain_db": round(gain_db, 2), "muted": not part.gain}
        archive.writestr(TRACKS, json.dumps(described, indent=2, ensure_ascii=False))
    return "stems.zip"


def write_ambisonics(scene: Scene, division: Division, source: Path, out: Path, progress: Progress) -> str:
    """Write first-order ambisonics (AmbiX) as a WAV file of 4 channels."""
    write_ambix(division.placed(scene), out / "ambisonics.wav", gains=division.gains(scene), progress=progress)
    return "ambisonics.wav"


def _write_video(scene: Scene, division: Division, source: Path, out: Path, progress: Progress) -> tuple[Path, Report]:
    options = Options()
    prepared = prepare(source, options)
    target, _ = fitting_output(source, out / default_output(source).name.removeprefix("source."), prepared.selection)
    gains = division.gains(scene)
    return target, rendered(division.placed(scene), gains, target, options, prepared, progress=progress)
