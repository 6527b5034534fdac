"""Program of a worker process of the page: `python -m hearsight.app.work`.

Jobs are lines of JSON on standard input. Messages about them (see `worker.Workers.run`) go to the original standard
output of the process; output of libraries goes to standard error.
"""

import contextlib
import json
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hearsight.errors import DataError, HearsightError, MediaError
from hearsight.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from hearsight.app.scene import Division, Scene

_PAUSE_S = 0.2  # between two lines of progress
_MOST_DISK = 8 << 30  # bytes, limit for a file of a job
_MOST_MEMORY = 12 << 30  # bytes of a worker
_MOST_PIXELS = 36_000_000  # of a picture: somewhat more than 8K


class JobProgress:
    """Progress of a job in stages, as one number with the remaining time.

    Args:
        say: function that takes the messages.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say, self._began_s, self._said_s = say, time.monotonic(), 0.0

    def stage(self, doing: str, begins: float, ends: float) -> Progress:
        """Return a progress callback for a stage from one share of the job to another."""

        def report(done: float, total: float | None) -> None:
            now = time.monotonic()
            if now - self._said_s < _PAUSE_S:
                return
            share = begins + (ends - begins) * min(1.0, done / total if total else 0.0)
            self._said_s, taken_s = now, now - self._began_s
            left_s = taken_s * (1 - share) / share if share > 0.06 else None
            self._say({"progress": round(share, 3), "doing": doing, "left_s": left_s})

        self._said_s = 0.0
        report(0.0, None)
        return report


def open_clip(job: dict[str, Any], job_progress: JobProgress) -> dict[str, Any]:
    """Find the sources of a new clip and prepare all files that the page plays."""
    import torch

    from hearsight.acoustics import picture_field_of_view
    from hearsight.app.preview import write_flac, write_preview
    from hearsight.app.scene import page_decoder
    from hearsight.inference.options import Options
    from hearsight.inference.preparation import prepare
    from hearsight.media import mix_to_mono, read_audio
    from hearsight.signal.loudness import integrated_loudness

    source, out = Path(job["source"]), Path(job["folder"]) / "out"
    if job.get("sample"):
        _write_sample(source)
    prepared = prepare(source, Options())
    clip = prepared.clip
    longest_s = float(job["longest_s"])
    _refuse_long(clip.duration_s or 0.0, longest_s)
    if clip.frame_size is not None and clip.frame_size[0] * clip.frame_size[1] > _MOST_PIXELS:
        raise MediaError(
            f"{source}: its picture has {' x '.join(map(str, clip.frame_size))} pixels, too many for this page"
        )
    rate = clip.sample_rate_hz
    blocks, samples = [], 0
    notes: list[str] = []
    for block in read_audio(source, notes=notes, selection=prepared.selection):
        samples += block.shape[-1]
        _refuse_long(samples / rate, longest_s)
        block = torch.nan_to_num(block, 0.0, 0.0, 0.0).clamp(-8, 8)
        blocks.append(block if block.shape[0] <= 2 else mix_to_mono(block, prepared.audio.layout)[None])
    original = torch.cat(blocks, -1)
    duration_s = samples / rate
    write_flac(out / "original.flac", original, rate)
    write_flac(out / "decoder.flac", page_decoder(rate).flatten(0, 1), rate)
    preview = None
    if clip.frame_size is not None and clip.frame_rate_hz is not None:
        preview = "preview.mp4"
        write_preview(
            source,
            out / preview,
            clip.frame_size,
            clip.frame_rate_hz,
            duration_s,
            prepared.selection,
            job_progress.stage("Making a preview", 0.02, 0.25),
        )
    fov_deg = math.degrees(picture_field_of_view(clip.frame_size, clip.focal_length_mm))
    found = _divided(job, None, fov_deg, 1.0, job_progress, 0.25)
    rendered = _sum_of_ears(out, found["parts"])
    level_db = integrated_loudness(original.expand(2, -1), rate) - integrated_loudness(rendered, rate)
    height, width = clip.frame_size or (0, 0)
    return {
        **found,
        "label": job["label"],
        "duration_s": duration_s,
        "sample_rate_hz": rate,
        "width": width,
        "height": height,
        "preview": preview,
        "original": "original.flac",
        "decoder": "decoder.flac",
        "fov_deg": fov_deg,
        "level_db": max(-12.0, min(12.0, level_db)) if math.isfinite(level_db) else 0.0,
        "notes": list(dict.fromkeys([*prepared.notes, *found["notes"], *notes])),
    }


def _sum_of_ears(out: Path, parts: list[dict[str, Any]]) -> "Tensor":
    import soundfile
    import torch

    return torch.stack([torch.from_numpy(soundfile.read(out / part["file"])[0].T) for part in parts]).sum(0) * 2


def render(job: dict[str, Any], job_progress: JobProgress) -> dict[str, Any]:
    """Render the changed parts of a scene."""
    from hearsight.app.scene import Scene, write_ears

    job_progress.stage("Rendering", 0.0, 1.0)
    return {"parts": write_ears(Scene.of(job), _division(job), Path(job["folder"]) / "out")}


def divide(job: dict[str, Any], job_progress: JobProgress) -> dict[str, Any]:
    """Divide the sound among the sources of a scene at their present positions."""
    from hearsight.app.scene import Scene

    scene = Scene.of(job)
    if not scene.sources:
        raise DataError("there is no source to divide the sound among; add one first")
    return _divided(job, scene, scene.fov_deg, scene.strength, job_progress, 0.0)


def export(job: dict[str, Any], job_progress: JobProgress) -> dict[str, Any]:
    """Write a file for download."""
    from hearsight.app import exports
    from hearsight.app.scene import Scene

    writers = {
        "video": exports.write_video,
        "stems": exports.write_stems,
        "ambisonics": exports.write_ambisonics,
        "report": exports.write_report,
    }
    writer = writers.get(str(job.get("what")))
    if writer is None:
        raise DataError("there is no such download", "unknown")
    scene, division = Scene.of(job), _division(job)
    progress = job_progress.stage("Writing", 0.0, 1.0)
    return {"file": writer(scene, division, Path(job["source"]), Path(job["folder"]) / "out", progress)}


JOBS: dict[str, Callable[[dict[str, Any], JobProgress], dict[str, Any]]] = {
    "open": open_clip,
    "render": render,
    "split": divide,
    "export": export,
}


def _divided(
    job: dict[str, Any],
    scene: "Scene | None",
    fov_deg: float,
    strength: float,
    job_progress: JobProgress,
    begins: float,
) -> dict[str, Any]:
    """Make a division of the sound, by found sources or those of a scene, and its ears."""
    from hearsight.app.scene import Scene, write_ears
    from hearsight.files import write_json
    from hearsight.inference import separate

    folder = Path(job["folder"])
    name = f"split{1 + sum(each.is_dir() for each in folder.glob('split*'))}"
    tracks = None
    if scene is not None:
        tracks = folder / f"{name}.json"
        write_json(tracks, {"sources": [source.as_json() for source in scene.sources]})
    progress = job_progress.stage("Finding who plays" if scene is None else "Dividing the sound", begins, 0.9)
    stems = separate(job["source"], folder / name, tracks=tracks, fov_degrees=fov_deg, progress=progress)
    job_progress.stage("Rendering", 0.9, 1.0)
    sources = [
        {
            "part": part,
            "label": source.label,
            "energy_share": source.energy_share,
            "track": [[point.time_s, point.x, point.y] for point in source.track] or [[0.0, 0.5, 0.5]],
            "size": [[p.time_s, p.width, p.height] for p in source.track if p.width and p.height],
        }
        for part, source in enumerate(stems.sources)
    ]
    asked = {"split": name, "sources": sources, "fov_deg": fov_deg, "strength": strength}
    division = _division({**job, **asked})
    parts = write_ears(Scene.of(asked), division, folder / "out")
    return {**asked, "splits": {name: division.rest}, "parts": parts, "notes": stems.notes}


def _division(job: dict[str, Any]) -> "Division":
    from hearsight.app.scene import Division, Scene

    return Division(Path(job["folder"]) / Scene.of(job).split)


def _refuse_long(duration_s: float, longest_s: float) -> None:
    if duration_s > longest_s + 0.5:
        raise MediaError(f"the clip is longer than the {longest_s / 60:g} minutes that this page takes")


def _write_sample(path: Path) -> None:
    from hearsight.simulation.demo_scene import sample_scene, write_sample_scene

    write_sample_scene(sample_scene(), path)


def main() -> None:
    """Run jobs until standard input ends."""
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_DISK, _MOST_DISK))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    jobs: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            jobs.put(line)
        os._exit(0)  # the server is gone

    threading.Thread(target=read, daemon=True).start()
    _warm()
    while True:
        _do(json.loads(jobs.get()), said)


def _warm() -> None:
    """Import slow modules before the first job."""
    import hearsight.app.scene
    import hearsight.inference  # noqa: F401


def _do(job: dict[str, Any], said: TextIO) -> None:
    def say(message: dict[str, Any]) -> None:
        said.write(json.dumps(message) + "\n")

    try:
        asked = JOBS.get(str(job.get("job")))
        if asked is None:
            raise DataError("there is no such job", "unknown")
        say({"done": asked(job, JobProgress(say))})
    except HearsightError as error:
        words = str(error).replace(str(job["source"]), job["label"]).replace(str(job["folder"]), "the clip")
        say({"failed": " ".join(words.split())})
    except Exception as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            say({"failed": "the server has not enough memory for this clip"})
            return
        traceback.print_exc()
        say({"failed": f"defect in hearsight, {type(error).__name__}; who runs this page finds more in its log"})


if __name__ == "__main__":
    main()
