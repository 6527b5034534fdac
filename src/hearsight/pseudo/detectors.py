"""Detection of the visible source of a clip with the object detectors of transformers."""

import inspect
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from hearsight.datasets.pictures import picture_files, read_picture
from hearsight.errors import DataError, DependencyError, HearsightError, ModelError
from hearsight.files import write_json
from hearsight.media import read_frames
from hearsight.pseudo.boxes import Box
from hearsight.pseudo.mono_clips import MonoClip

OPEN_VOCABULARY = "google/owlv2-base-patch16-ensemble"
CLOSED_SET = "hustvl/yolos-tiny"
DEFAULT_PROMPT = "a person playing a {label}"


class SourceDetector:
    """Detector, by Hub name or local folder, that finds the source of a clip. A detector is callable as a `BoxFinder`.

    There are two types, recognised by the model's configuration: open-vocabulary (OWL-ViT, OWLv2, Grounding DINO),
    which gets a text prompt, and closed-set (DETR, YOLOS and similar ones), which detects classes.

    Args:
        name: a name on the Hugging Face Hub (downloaded on first use) or a folder.
        prompt: text prompt of an open-vocabulary detector; `{label}` is replaced by the clip's label (for clips without
            one, `musical instrument`).
        classes: classes of a closed-set detector to keep, by its own names.
        threshold: boxes with a lower score are dropped.
        rate_hz: number of pictures per second to analyse.
        batch: number of pictures at once.
        device: "cpu", "cuda", ...

    Raises:
        DependencyError: the weights are not on this machine and cannot be downloaded.
        ModelError: the model is not a detector, or lacks one of the classes.
    """

    def __init__(
        self,
        name: str = OPEN_VOCABULARY,
        prompt: str = DEFAULT_PROMPT,
        classes: Sequence[str] = ("person",),
        threshold: float = 0.1,
        rate_hz: float = 1.0,
        batch: int = 8,
        device: str = "cpu",
    ) -> None:
        self.name, self.prompt, self.classes = name, prompt, tuple(classes)
        self.threshold, self.rate_hz, self.batch, self.device = threshold, rate_hz, batch, device
        self._network = _load(name, device)
        if not self._network.open_vocabulary:
            known = {label.lower() for label in self._network.model.config.id2label.values()}
            unknown = [one for one in self.classes if one.lower() not in known]
            if unknown:
                some = ", ".join(sorted(known)[:12])
                raise ModelError(
                    f"{name}: knows no class {', '.join(unknown)}; it knows {some}, ... ({len(known)})", "unknown"
                )

    @property
    def open_vocabulary(self) -> bool:
        """Whether the detector takes a text prompt."""
        return self._network.open_vocabulary

    @property
    def key(self) -> str:
        """Identifies the detector and its settings."""
        return repr((self.name, self.prompt, self.classes, self.threshold, self.rate_hz))

    def __call__(self, clip: MonoClip) -> list[Box]:
        """Boxes of a clip at `rate_hz`, from the file beside the clip if they were detected before.

        Raises:
            MediaError: the clip's picture cannot be read.
        """
        path = clip.picture.with_name(f"{clip.picture.name}.boxes.json")
        asked = self._asked(clip)
        if (boxes := _read_cache(path, clip, asked)) is not None:
            return boxes
        boxes = []
        pictures = _pictures(clip, self.rate_hz)
        while some := list(islice(pictures, self.batch)):
            found = self.detect([picture for _, picture in some], self._text(clip))
            for (time_s, _), in_picture in zip(some, found, strict=True):
                boxes += [Box(b.x0, b.y0, b.x1, b.y1, time_s, b.score, b.label) for b in in_picture]
        _write_cache(path, clip, asked, boxes)
        return boxes

    @torch.inference_mode()
    def detect(self, pictures: Sequence[UInt8[np.ndarray, "_height _width 3"]], text: str) -> list[list[Box]]:
        """Boxes in each picture of one batch, best first.

        Args:
            pictures: RGB, of one size or several.
            text: prompt of an open-vocabulary detector; others ignore it.
        """
        sizes = [picture.shape[:2] for picture in pictures]
        found = self._network.detect(pictures, sizes, text, self.threshold)
        boxes: list[list[Box]] = []
        for (height, width), (edges, scores, labels) in zip(sizes, found, strict=True):
            in_picture = [
                Box.clipped(x0 / width, y0 / height, x1 / width, y1 / height, score=score, label=label)
                for (x0, y0, x1, y1), score, label in zip(edges, scores, labels, strict=True)
                if self.open_vocabulary or label.lower() in {one.lower() for one in self.classes}
            ]
            boxes.append(sorted((box for box in in_picture if box is not None), key=lambda box: -box.score))
        return boxes

    def _text(self, clip: MonoClip) -> str:
        return self.prompt.replace("{label}", clip.label or "musical instrument")

    def _asked(self, clip: MonoClip) -> dict[str, Any]:
        wanted = {"prompt": self._text(clip)} if self.open_vocabulary else {"classes": list(self.classes)}
        return {"detector": self.name, **wanted, "threshold": self.threshold, "rate_hz": self.rate_hz}


_Found = tuple[list[list[float]], list[float], list[str]]  # edges in pixels, scores, labels


@dataclass
class _Network:
    """A model with its pre- and postprocessing."""

    model: Any
    processor: Any
    open_vocabulary: bool
    device: str

    def detect(
        self, pictures: Sequence[np.ndarray], sizes: list[tuple[int, int]], text: str, threshold: float
    ) -> list[_Found]:
        if self.open_vocabulary:
            return self._detect_text(pictures, sizes, text, threshold)
        inputs = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        outputs = self.model(**inputs)
        results = self.processor.post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)
        names = self.model.config.id2label
        return [
            (
                result["boxes"].tolist(),
                result["scores"].tolist(),
                [names[int(label)] for label in result["labels"]],
            )
            for result in results
        ]

    def _detect_text(
        self, pictures: Sequence[np.ndarray], sizes: list[tuple[int, int]], text: str, threshold: float
    ) -> list[_Found]:
        grounding = self.model.config.model_type.endswith("grounding-dino")
        # Grounding DINO's texts are lower case and end with a full stop; the OWLs take a list of texts per picture.
        texts: list[Any] = [text.lower().rstrip(".") + "." if grounding else [text]] * len(pictures)
        inputs = self.processor(images=list(pictures), text=texts, truncation=True, return_tensors="pt").to(self.device)
        outputs = self.model(**inputs)
        after = self.processor.post_process_grounded_object_detection
        arguments: dict[str, Any] = {"outputs": outputs, "target_sizes": sizes}
        parameters = inspect.signature(after).parameters
        arguments["threshold" if "threshold" in parameters else "box_threshold"] = threshold  # renamed in 4.51
        if "input_ids" in parameters:
            arguments["input_ids"] = inputs["input_ids"]
        return [
            (result["boxes"].tolist(), result["scores"].tolist(), [text] * len(result["scores"]))
            for result in after(**arguments)
        ]


def _load(name: str, device: str) -> _Network:
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModelForObjectDetection,
        AutoModelForZeroShotObjectDetection,
        AutoProcessor,
    )

    with _one_clear_line(name):
        config = AutoConfig.from_pretrained(name)
        open_vocabulary = type(config) in AutoModelForZeroShotObjectDetection._model_mapping
        if not open_vocabulary and type(config) not in AutoModelForObjectDetection._model_mapping:
            raise ModelError(
                f"{name}: is a {config.model_type}, not a detector; open-vocabulary: {OPEN_VOCABULARY}, closed-set: "
                f"{CLOSED_SET}",
                "unsupported",
            )
        loader = AutoModelForZeroShotObjectDetection if open_vocabulary else AutoModelForObjectDetection
        processor = (AutoProcessor if open_vocabulary else AutoImageProcessor).from_pretrained(name)
        model = loader.from_pretrained(name)
    return _Network(model.eval().to(device), processor, open_vocabulary, device)


@contextmanager
def _one_clear_line(name: str) -> Iterator[None]:
    """Convert the errors of missing or unsuitable weights to one clear line, and silence the Hub's retries."""
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("huggingface_hub")
    level, bars = logger.level, transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    except HearsightError:
        raise
    except OSError as error:
        if Path(name).is_dir():
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{name}: not a folder with a detector of transformers ({first})", "unreadable") from error
        raise DependencyError(
            f"the detector {name} is not on this machine and cannot be downloaded; check the name and the connection, "
            "or name a folder that holds it, or give boxes in a file",
            "missing",
        ) from error
    except ImportError as error:
        first = str(error).strip().splitlines()[0]
        raise DependencyError(f"the detector {name} needs a library that is missing ({first})", "missing") from error
    except (ValueError, KeyError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{name}: cannot be loaded as a detector ({first})", "unreadable") from error
    finally:
        logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _pictures(clip: MonoClip, rate_hz: float) -> Iterator[tuple[float, np.ndarray]]:
    """Time and RGB of a clip's pictures; a folder has ten per second."""
    if not clip.picture.is_dir():
        for frame in read_frames(clip.picture, rate_hz=rate_hz):
            yield frame.time_s, frame.rgb
        return
    files = picture_files(clip.picture)
    for number in range(0, len(files), max(round(10 / rate_hz), 1)):
        yield number / 10, read_picture(files[number])


def _read_cache(path: Path, clip: MonoClip, asked: dict[str, Any]) -> list[Box] | None:
    """Boxes detected before with the same settings; None if there are none, or the file has another format."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))[clip.picture.name]
        if entry["asked"] != asked or entry["picture_bytes"] != _bytes(clip.picture):
            return None
        boxes = []
        for box in entry["boxes"]:
            x0, y0, x1, y1 = (float(edge) for edge in box["box"])
            boxes.append(Box(x0, y0, x1, y1, box["time_s"], box["score"], box["label"]))
        return boxes
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _write_cache(path: Path, clip: MonoClip, asked: dict[str, Any], boxes: list[Box]) -> None:
    """Write boxes in the format that `read_boxes` reads."""
    listed = [
        {"time_s": box.time_s, "box": [box.x0, box.y0, box.x1, box.y1], "score": box.score, "label": box.label}
        for box in boxes
    ]
    entry = {"asked": asked, "picture_bytes": _bytes(clip.picture), "boxes": listed}
    try:
        write_json(path, {clip.picture.name: entry})
    except HearsightError as error:
        warnings.warn(f"boxes are not kept: {error}", stacklevel=3)


def _bytes(picture: Path) -> int:
    if picture.is_dir():
        return sum(os.path.getsize(path) for path in sorted(picture.iterdir()) if path.is_file())
    return os.path.getsize(picture)
