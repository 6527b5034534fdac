"""Engine: runs any model, neural or not, from an input file to an output file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import cv2
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import MediaError
from hearsight.inference.ambisonic_sound import AmbisonicDecoder, ambisonic_order
from hearsight.inference.band_extension import OwnRate
from hearsight.inference.input_sound import InputSound
from hearsight.inference.options import Options, Treatment
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.inference.report import Report
from hearsight.inference.threads import read_ahead, write_behind
from hearsight.inference.windowing import Picture, walk
from hearsight.media import BinauralWriter, Selection, read_audio, read_frames, read_small_frames
from hearsight.models.interface import BinauralModel, BinauralSession, ClipInfo, WindowSpec
from hearsight.models.sessions import SeeingSession
from hearsight.progress import Progress, no_progress
from hearsight.signal import difference
from hearsight.signal.loudness import LoudnessMeter
from hearsight.vision.frames import SmallCopies

_BLOCK_SAMPLES = 1 << 15
_SILENT_DB = -80.0
_MOST_AHEAD, _BYTES_AHEAD = 64, 48 << 20  # limits of pictures decoded in advance
_MOST_BEHIND = 8  # blocks of ears waiting to be encoded


def run_on_file(
    model: BinauralModel,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
    *,
    prepared: PreparedInput | None = None,
    treatment: Treatment | None = None,
    decodes_ambisonics: bool = False,
    hrtf: str | None = None,
    mono: Iterable[Float[Tensor, "_samples"]] | None = None,
) -> Report:
    """Run a model on a file in one pass, in memory that does not depend on its length.

    The input's sound is mixed to mono (`media.mix_to_mono`) and processed by `ears_of`; `media.BinauralWriter` copies
    the picture and everything else in the file. An existing target is replaced once the new one is complete.

    Args:
        options: options of the job. Its strength is used only to make the default `treatment`.
        progress: called with seconds of the clip.
        prepared: result of `prepare` for the source with these options; None: it is prepared here.
        treatment: mix of the ears with the input; None: according to the options.
        decodes_ambisonics: whether ambisonics in the source are decoded to ears, with the HRTF. Otherwise their channel
            W is the mono sound.
        hrtf: path of a SOFA file for ambisonics; None for KEMAR.
        mono: sound to process in place of the source's, of the same length; None: the source's.

    Raises:
        MediaError: the input cannot be read, has no sound, or has no picture and the model needs it.
        HearsightError: the target cannot be written.
    """
    begun = time.monotonic()
    prepared = prepared or prepare(source, options)
    clip, layout = prepared.clip, prepared.audio.layout
    treatment = treatment or Treatment(
        options.strength,
        keeps_sides="always" if options.stereo == "keep" else "untouched",
        true_peak_db=options.true_peak_db,
        gain_db=prepared.gain_db,
    )
    notes: list[str] = []
    picture_notes: list[str] = []
    sound: Iterable[Tensor] = read_audio(source, _BLOCK_SAMPLES, notes, prepared.selection)
    if mono is not None:
        sound, layout = (block[None] for block in mono), "mono"
    session: BinauralSession | None = None
    if decodes_ambisonics and ambisonic_order(layout) is not None:
        decoder = AmbisonicDecoder(clip.sample_rate_hz, layout, prepared.audio.channels, hrtf)
        notes.append(f"the sound is ambisonics ({layout}): it was decoded to ears, the picture was not used")
        name = "ambisonics"
    else:
        if ambisonic_order(layout) is not None:
            notes.append(f"the sound is ambisonics ({layout}): the model was given its channel W alone")
        if model.spec.frames != "none" and clip.frame_size is None and not works_without_picture(model):
            raise MediaError(
                f"{source}: has no picture, and the model {model.name} needs it; say where the sources are "
                "(--source X,Y or --tracks), or name a model that only hears (--model audio-only)",
                "no-picture",
            )
        session, name = model.session(clip), model.name
    samples = 0
    meter = LoudnessMeter(clip.sample_rate_hz, [1.0, 1.0])
    with (
        BinauralWriter(
            source,
            target,
            clip.sample_rate_hz,
            options.audio_codec,
            selection=prepared.selection,
            keep_original=options.keep_original,
            true_peak_db=treatment.true_peak_db,
        ) as writer,
        write_behind(writer.write, _MOST_BEHIND) as write,
        pictures_for(source, model.spec, session, clip, picture_notes, prepared.selection) as pictures,
        a_core_left(isinstance(session, SeeingSession)),
    ):
        if session is None:
            blocks = field_ears(decoder, sound, layout, clip.sample_rate_hz, treatment, notes)
        else:
            blocks = ears_of(session, model.spec, clip.sample_rate_hz, sound, layout, pictures, notes, treatment)
        for ears in blocks:
            progress(samples / clip.sample_rate_hz, clip.duration_s)
            write(ears)
            meter.process(ears)
            samples += ears.shape[-1]
    notes += picture_notes
    if writer.true_peak_db < _SILENT_DB:
        notes.append("the output is silent, as the input's sound is")
    duration_s = samples / clip.sample_rate_hz
    progress(duration_s, duration_s)
    return Report(
        input=os.fspath(source),
        output=os.fspath(target),
        duration_s=duration_s,
        sample_rate_hz=clip.sample_rate_hz,
        model=name,
        realtime_factor=duration_s / max(1e-9, time.monotonic() - begun),
        peak_memory_mib=peak_memory_mib(),
        sources=[source.later(prepared.selection.start_s) for source in (session.sources() if session else [])],
        notes=list(dict.fromkeys([*prepared.notes, *(session.notes() if session else []), *writer.notes, *notes])),
        start_s=prepared.selection.start_s,
        loudness_lufs=meter.lufs,
        true_peak_db=writer.true_peak_db,
        sound_tracks=list(prepared.tracks),
    )


def ears_of(
    session: BinauralSession,
    spec: WindowSpec,
    sample_rate_hz: int,
    sound: Iterable[Float[Tensor, "channels _samples"]],
    layout: str,
    pictures: Iterable[Picture] = (),
    notes: list[str] | None = None,
    treatment: Treatment | None = Treatment(),  # noqa: B008 (frozen)
) -> Iterator[Float[Tensor, "2 samples"]]:
    """Both ears of a sound of any number of channels, at its own rate, as they are finished; as long as the sound.

    A model without a sample rate returns the ears themselves (`walk`). A model with one gets the mono sound resampled
    to it, and only the difference of its ears is used: it is resampled back, extended above the model's band
    (`FullBand`) and added to the mono sound: left = mono + difference, right = mono - difference. (The papers'
    l = (mix + difference) / 2 twice: a player plays a mono file as `mono`, not half of it, in each ear.) `LevelKeeper`
    then sets loudness, silence and peaks. Samples of the input that are not finite count as silence.

    Args:
        layout: FFmpeg's name of the channels.
        notes: list to which plain sentences about changes are added.
        treatment: mix of the ears with the input, and their level; None: the unchanged output of the model.
    """
    notes = notes if notes is not None else []
    held = InputSound(sound, layout, sample_rate_hz, treatment or Treatment())
    own = None if spec.sample_rate_hz is None else OwnRate(held, sample_rate_hz, spec.sample_rate_hz)
    sound_of_model = held.mono() if own is None else own.resampled()
    for ears in walk(session, spec, spec.sample_rate_hz or sample_rate_hz, sound_of_model, pictures, notes):
        if own is None:
            mono = held.take(ears.shape[-1])
        else:
            ears, mono = _ears(*own.whole(difference(ears)[None]))
        yield ears if treatment is None else held.levelled(ears, mono)
    if own is not None:
        ears, mono = _ears(*own.whole(torch.zeros(1, 0), last=True))
        yield ears if treatment is None else held.levelled(ears, mono)
    if treatment is not None:
        yield held.levelled(torch.zeros(2, 0), torch.zeros(0), last=True)
        notes += held.notes()


def _ears(differences: Tensor, mono: Tensor) -> tuple[Tensor, Tensor]:
    """Return (ears, mono) for the first of the differences."""
    return torch.stack([mono + differences[0], mono - differences[0]]), mono


def field_ears(
    decoder: AmbisonicDecoder,
    sound: Iterable[Float[Tensor, "channels _samples"]],
    layout: str,
    sample_rate_hz: int,
    treatment: Treatment,
    notes: list[str],
) -> Iterator[Float[Tensor, "2 samples"]]:
    """Both ears of an ambisonic sound, as loud as its channel W in both ears; otherwise as in `ears_of`."""
    held = InputSound(sound, layout, sample_rate_hz, treatment)
    channels = 1
    for block in held.blocks():
        channels = block.shape[0]
        ears = decoder.process(block)
        yield held.levelled(ears, held.take(ears.shape[-1]))
    ears = decoder.process(torch.zeros(channels, 0), last=True)
    yield held.levelled(ears, held.take(ears.shape[-1]))
    yield held.levelled(torch.zeros(2, 0), torch.zeros(0), last=True)
    notes += held.notes()


def pictures_for(
    source: str | os.PathLike[str],
    spec: WindowSpec,
    session: BinauralSession | None,
    clip: ClipInfo,
    notes: list[str],
    selection: Selection,
) -> AbstractContextManager[Iterable[Picture]]:
    """Context with the pictures that the model needs; a thread decodes them in advance."""
    if session is None or spec.frames == "none" or clip.frame_size is None:
        return nullcontext(())
    size = spec.frame_size_of(clip.frame_size)
    height, width = size if size is not None else clip.frame_size
    copies: SmallCopies | None = getattr(session, "small_copies", None) if isinstance(session, SeeingSession) else None
    pictures: Iterator[Picture]
    if copies is not None:
        small, every = copies.size_of(clip.frame_size), copies.colours_every
        pictures = read_small_frames(source, spec.frame_rate_hz, small, size, every, notes, selection)
        frame_bytes = small[0] * small[1] + 3 * height * width // every
    else:
        pictures = read_frames(source, spec.frame_rate_hz, size, notes=notes, selection=selection)
        frame_bytes = 3 * height * width
    return read_ahead(pictures, max(1, min(_MOST_AHEAD, _BYTES_AHEAD // frame_bytes)))


@contextmanager
def a_core_left(is_needed: bool) -> Iterator[None]:
    """Context in which operations leave one core to the decoding thread.

    Without it, two threads that share an operation wait busily for each other while one of them has no core.
    """
    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    if is_needed:
        torch.set_num_threads(max(1, threads - 1))
        cv2.setNumThreads(max(1, cv2_threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv2_threads)


def works_without_picture(model: BinauralModel) -> bool:
    """Whether a model that uses pictures works without one."""
    return bool(getattr(model, "works_without_picture", False))


def peak_memory_mib() -> float:
    """Peak resident memory of this process so far; NaN where the system does not report it."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
