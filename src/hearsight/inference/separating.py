"""`hearsight.separate`: one call from a video to stems of its sound, one per visible source."""

import os
import shutil
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hearsight.errors import ModelError
from hearsight.inference.asked import Asked
from hearsight.inference.network_separation import loaded_separator, mix_into, network_stems_into
from hearsight.inference.options import Options
from hearsight.inference.preparation import prepare
from hearsight.inference.separation import separated, stems_folder
from hearsight.inference.stems import Stems
from hearsight.models.interface import BinauralModel, SeparationNetwork
from hearsight.progress import Progress, no_progress

if TYPE_CHECKING:
    from hearsight.metrics import SeparationRatios


def separate(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | BinauralModel | SeparationNetwork | None = None,
    *,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    fov_degrees: float | None = None,
    device: str = "cpu",
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
) -> Stems:
    """Separate a video's sound into one stem per visible source and the rest, which add up to the mono mix.

        stems = hearsight.separate("duet.mp4")
        for name, source in zip(stems.names, stems.sources):  # the last name is "rest"
            cello = stems.sound(name)                          # float32 [samples], at stems.sample_rate_hz
            print(name, source.track[0].azimuth_deg)           # where it is, twice a second
        hearsight.render_stems(stems, "louder.mp4", gains_db={"cello": 6})

    All stems have the length, the sample rate and the start of the clip's sound; levels are not changed. The video is
    read once, in memory that does not depend on its length: stems are written to disk as they are finished.

    Args:
        input: a video (or, with positions, a sound) that FFmpeg reads.
        output: a folder for the stems, `tracks.json` and `tracks.csv`; it is written whole or not at all, and replaced
            if it holds stems already. None: a temporary folder, which is removed with the returned object.
        model: a model that places sources: a name or a loaded model; None is `sounding-objects`. Or a trained
            separation network (Mix-and-Separate, PixelPlayer, Sep-Stereo), by name, folder, Hub id, or as an object; it
            gets the picture around each source, the given ones or the two loudest that the default model finds.
        sources, tracks, fov_degrees: as in `hearsight.binauralize`.
        device: for a network: "cpu", "cuda", "mps".
        options: tracks and part of the file; the other options apply to binaural output only.
        progress: called with seconds of the clip.

    Raises:
        MediaError: the input cannot be read, has no sound, or lacks the picture that the model needs.
        ModelError: a model without parts, or settings that it does not take.
        DataError: tracks that cannot be used.
        HearsightError: the folder cannot be written, or holds other files.
    """
    asked = Asked(model, sources, tracks, None, fov_degrees, device, options)
    network = None if model is None else loaded_separator(model, device)
    with stems_folder(output) as (folder, final):
        prepared = prepare(input, options)
        if network is not None:
            stems = network_stems_into(folder, network, asked, input, prepared, progress)
        else:
            stems = separated(asked, input, folder, prepared, progress)
    if final is not None:
        return stems.moved(final)
    weakref.finalize(stems, shutil.rmtree, folder, ignore_errors=True)
    return stems


def separate_mix(
    inputs: tuple[str | os.PathLike[str], str | os.PathLike[str]],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str] | SeparationNetwork,
    *,
    device: str = "cpu",
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
) -> tuple[Stems, "SeparationRatios | None"]:
    """Mix the sounds of two videos, levels unchanged, and separate the mix by their pictures: the papers' test.

    Args:
        inputs: both videos; the mix is as long as the shorter one, at the rate of the first.
        model: a separation network, by name, folder, Hub id, or as an object; it gets each video's whole frames.
        output, device, options, progress: as in `separate`.

    Returns:
        The stems, and SDR, SIR and SAR of the first two against the true sounds (None beyond two minutes).

    Raises:
        ModelError: the model is no separation network.
        others: as `separate`.
    """
    network = loaded_separator(model, device)
    if network is None:
        raise ModelError(
            f"{model}: is no separation network; two videos are mixed and separated by one alone", "unsupported"
        )
    with stems_folder(output) as (folder, final):
        stems, ratios = mix_into(folder, network, inputs, device, options, progress)
    assert final is not None
    return stems.moved(final), ratios
