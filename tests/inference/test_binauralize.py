"""Files through models: where sources are heard, levels, lengths, what is refused, and what a killed process leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
import soxr
import torch
from error_codes import coded

import hearsight
from hearsight.errors import DataError, HearsightError, MediaError, ModelError
from hearsight.inference import Model, NeuralModel, Options, choose_model, default_output, ears_of
from hearsight.media import read_sound
from hearsight.models.baselines import MonoMono
from hearsight.models.interface import ClipInfo, Window, WindowSpec
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.positions import Positions
from hearsight.models.sounding_objects import GivenPositions, SoundingObjects
from hearsight.signal import difference
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s
from hearsight.signal.loudness import integrated_loudness
from hearsight.vision.tracks import Source

Draw = Callable[[float], np.ndarray]
SIZE = (90, 160)


def _still(time_s: float) -> np.ndarray:
    return np.full((*SIZE, 3), 90, np.uint8)


def make_video(path: Path, sound: np.ndarray, rate: int = 48_000, draw: Draw | None = _still) -> Path:
    """`sound` [channels, samples] as lossless FLAC in Matroska, with a small picture at 15 frames per second."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
    with av.open(str(path), "w") as container:
        if draw is not None:
            picture = container.add_stream("libx264", rate=15)
            picture.height, picture.width, picture.pix_fmt = *SIZE, "yuv420p"
            picture.options = {"preset": "ultrafast"}
        voice = container.add_stream("flac", rate=rate, layout=layout, format="s16")
        integers = np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)
        for start in range(0, sound.shape[1], 4096):
            block = np.ascontiguousarray(integers[:, start : start + 4096].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
        for number in range(round(sound.shape[1] / rate * 15) if draw is not None else 0):
            image = av.VideoFrame.from_ndarray(draw(number / 15), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, 15)
            container.mux(picture.encode(image))
        if draw is not None:
            container.mux(picture.encode(None))
    return path


def pink(seconds: float, rate: int = 48_000, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    spectrum = np.fft.rfft(generator.standard_normal(round(seconds * rate)))
    spectrum /= np.sqrt(np.arange(len(spectrum)) + 20)
    sound = np.fft.irfft(spectrum, round(seconds * rate))
    return 0.1 * sound / sound.std()


def tone(hertz: float, seconds: float = 3.0, rate: int = 48_000) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clips") / "clip.mkv", pink(4.0)[None])


def _ears(path: Path) -> torch.Tensor:
    return read_sound(path)[0]


@pytest.mark.parametrize(
    "sound",
    [pink(3.0), tone(45), tone(110), tone(320), tone(700)],
    ids=["pink", "45 Hz", "110 Hz", "320 Hz", "700 Hz"],
)
def test_a_source_at_the_left_is_3_db_and_300_microseconds_to_the_left_and_mirrored_at_the_right(
    tmp_path: Path, sound: np.ndarray
) -> None:
    path = make_video(tmp_path / "clip.mkv", sound[None])
    hearsight.binauralize(path, tmp_path / "left.wav", sources=[(0.1, 0.5)])
    hearsight.binauralize(path, tmp_path / "right.wav", sources=[(0.9, 0.5)])
    left, right = _ears(tmp_path / "left.wav"), _ears(tmp_path / "right.wav")
    inner = slice(12_000, -12_000)
    assert interaural_level_difference_db(left[:, inner], 48_000).min() >= 3.0
    assert interaural_time_difference_s(left[:, inner], 48_000).min() >= 0.3e-3
    assert torch.allclose(left, right.flip(0), atol=2e-4)


@pytest.mark.parametrize("y", [0.1, 0.5, 0.9])
def test_a_source_in_the_middle_is_alike_in_both_ears(tmp_path: Path, clip: Path, y: float) -> None:
    hearsight.binauralize(clip, tmp_path / "middle.wav", sources=[(0.5, y)])
    assert interaural_level_difference_db(_ears(tmp_path / "middle.wav"), 48_000).abs().max() <= 0.5


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rate_length_and_loudness_are_the_inputs(tmp_path: Path, rate: int, channels: int) -> None:
    samples = round(2.0 * rate) + 37
    sound = np.stack([pink(3.0, rate, seed)[:samples] for seed in range(channels)]) * 0.5
    path = make_video(tmp_path / "clip.mkv", sound, rate)
    report = hearsight.binauralize(path, tmp_path / "out.wav", sources=[(0.2, 0.5)])
    ears, out_rate = read_sound(tmp_path / "out.wav")
    assert (out_rate, ears.shape) == (rate, (2, samples))
    assert (report.sample_rate_hz, report.duration_s) == (rate, pytest.approx(samples / rate))
    if channels < 6:
        flat = torch.from_numpy(np.repeat(sound, 2 // channels, axis=0)).float()
        assert integrated_loudness(ears, rate) == pytest.approx(integrated_loudness(flat, rate), abs=1.0)


@pytest.mark.parametrize("samples", [1, 2, 100, 4_801, 96_001])
@pytest.mark.parametrize("model", ["positions", "mono-mono"])
def test_short_sounds_come_out_whole(tmp_path: Path, samples: int, model: str) -> None:
    soundfile.write(tmp_path / "in.wav", pink(3.0)[:samples], 48_000)
    options = {"sources": [(0.3, 0.5)]} if model == "positions" else {}
    hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.flac", model, **options)  # type: ignore[arg-type]
    ears, _ = read_sound(tmp_path / "out.flac")
    assert ears.shape == (2, samples) and torch.isfinite(ears).all()


@dataclass
class Panner:
    """Everything to one ear, at a rate of its own; a plug-in model as anyone may write one."""

    rate: int | None
    left_share: float = 1.0
    name: str = "panner"

    @property
    def spec(self) -> WindowSpec:
        return WindowSpec(self.rate, 0.63, 0.21, "none", batch=3)

    def session(self, clip: ClipInfo) -> "Panner":
        return self

    def process(self, windows: list[Window]) -> torch.Tensor:
        mono = torch.stack([window.mono for window in windows])
        return torch.stack([self.left_share * mono, (1 - self.left_share) * mono], dim=1)

    def sources(self) -> list[Source]:
        return []

    def notes(self) -> list[str]:
        return ["panned"]


def test_a_network_itself_is_a_model_too(tmp_path: Path, clip: Path) -> None:
    report = hearsight.binauralize(clip, tmp_path / "out.wav", MonoMono.small())
    assert report.model == "mono-mono"
    assert torch.allclose(_ears(tmp_path / "out.wav"), _ears(clip).expand(2, -1), atol=1e-4)


@pytest.mark.parametrize("rate", [None, 16_000])
def test_any_object_that_is_a_model_goes_through_in_full_band(tmp_path: Path, rate: int | None) -> None:
    path = make_video(tmp_path / "clip.mkv", pink(3.0)[None])
    report = hearsight.binauralize(path, tmp_path / "out.wav", Panner(rate, 0.8))  # type: ignore[arg-type]
    ears = _ears(tmp_path / "out.wav")
    spectra = torch.fft.rfft(ears[:, 20_000:-20_000].double()).abs().square()
    hertz = torch.fft.rfftfreq(ears.shape[-1] - 40_000, 1 / 48_000)
    for low, high in ((100, 3_000), (3_000, 7_000), (9_000, 20_000)):
        left, right = spectra[:, (hertz > low) & (hertz < high)].sum(-1)
        assert 10 * torch.log10(left / right) == pytest.approx(20 * np.log10(4), abs=0.5)
    assert report.notes == ["panned"] and report.model == "panner" and report.sources == []


class Watches:
    """A model that needs pictures as they come; notes how many threads its operations have."""

    name = "watches"
    spec = WindowSpec(None, 0.5, 0.5, frames="all", frame_rate_hz=5.0, batch=2)

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.threads: set[int] = set()

    def session(self, clip: ClipInfo) -> "Watches":
        return self

    def see(self, frame: object) -> None:
        self.threads.add(torch.get_num_threads())

    def seen(self, windows: list[Window]) -> None:
        if self.fails and windows[0].start_s > 0:
            raise MediaError("cannot be seen")

    def process(self, windows: list[Window], seen: None = None) -> torch.Tensor:
        self.threads.add(torch.get_num_threads())
        return torch.stack([window.mono.expand(2, -1) for window in windows])

    def sources(self) -> list[Source]:
        return []

    def notes(self) -> list[str]:
        return []


@pytest.mark.parametrize("fails", [False, True])
def test_a_core_is_left_to_decoding_and_given_back(tmp_path: Path, clip: Path, fails: bool) -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(3)
        model = Watches(fails)
        with pytest.raises(MediaError, match="seen") if fails else nullcontext():
            hearsight.binauralize(clip, tmp_path / "out.mkv", model)  # type: ignore[arg-type]
        assert model.threads == {2}
        assert torch.get_num_threads() == 3
        assert [path.name for path in tmp_path.iterdir()] == ([] if fails else ["out.mkv"])
    finally:
        torch.set_num_threads(before[0])
    assert cv2.getNumThreads() == before[1]


def test_mono_mono_gives_the_input_back(tmp_path: Path, clip: Path) -> None:
    hearsight.binauralize(clip, tmp_path / "out.wav", "mono-mono")
    original = _ears(clip)
    assert torch.allclose(_ears(tmp_path / "out.wav"), original.expand(2, -1), atol=1e-4)


def test_the_engine_and_the_call_of_a_network_agree_below_its_nyquist_frequency() -> None:
    from hearsight.models.mono2binaural import Mono2Binaural

    torch.manual_seed(0)
    model = NeuralModel(Mono2Binaural.small(), hop_s=0.1, precision="float32")
    mono = 0.1 * torch.randn(16_000)
    frames = np.random.default_rng(0).integers(0, 255, (10, 64, 128, 3), dtype=np.uint8)

    @dataclass(frozen=True)
    class Shown:
        time_s: float
        number: int
        rgb: np.ndarray

    pictures = [Shown(k / 10, k, frames[k]) for k in range(10)]
    session = model.session(ClipInfo(16_000, 1.0, 10.0, (64, 128)))
    through = torch.cat(list(ears_of(session, model.spec, 16_000, [mono[None]], "mono", pictures)), dim=-1)
    called = model(mono, frames)
    gain = (through.sum(0) * called.sum(0)).sum() / called.sum(0).square().sum()
    error = through / gain - called
    # Windows are averaged with a short rise and fall here, with equal weights in the call.
    assert error.square().mean().sqrt() < 0.12 * called.diff(dim=0).square().mean().sqrt() + 1e-3


def test_silence_stays_silence(tmp_path: Path) -> None:
    sound = pink(6.0)
    sound[96_000:192_000] = 0
    path = make_video(tmp_path / "clip.mkv", sound[None])
    hearsight.binauralize(path, tmp_path / "out.wav", sources=[(0.1, 0.5), (0.8, 0.5)])
    assert (_ears(tmp_path / "out.wav")[:, 96_000 + 2_405 : 192_000 - 2_405] == 0).all()


def test_full_scale_never_clips_and_the_cost_is_reported(tmp_path: Path) -> None:
    square = np.sign(tone(200, 3.0)) * 0.999
    path = make_video(tmp_path / "clip.mkv", square[None])
    report = hearsight.binauralize(path, tmp_path / "out.wav", sources=[(0.0, 0.5)])
    ears = _ears(tmp_path / "out.wav")
    assert ears.abs().max() < 0.95
    assert interaural_level_difference_db(ears, 48_000).min() > 3
    assert any("loud" in note for note in report.notes)


def test_the_report_has_the_documented_keys(tmp_path: Path, clip: Path) -> None:
    seen: list[float] = []
    hearsight.binauralize(
        clip,
        tmp_path / "out.mkv",
        sources=[(0.2, 0.4)],
        report=tmp_path / "report.json",
        progress=lambda done, total: seen.append(done),
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {
        "input", "output", "duration_s", "sample_rate_hz", "model", "realtime_factor", "peak_memory_mib", "sources",
        "notes", "start_s", "loudness_lufs", "true_peak_db", "sound_tracks", "settings",
    }  # fmt: skip
    (source,) = report["sources"]
    assert set(source) == {"label", "energy_share", "track"}
    assert set(source["track"][0]) == {"time_s", "x", "y", "azimuth_deg", "elevation_deg", "confidence"}
    assert source["energy_share"] == pytest.approx(1) and source["track"][0]["azimuth_deg"] == pytest.approx(36)
    assert report["duration_s"] == pytest.approx(4) and report["realtime_factor"] > 0 < report["peak_memory_mib"]
    assert seen == sorted(seen) and seen[-1] == pytest.approx(4, abs=0.01)


def test_a_report_given_back_as_tracks_gives_the_same_sound(tmp_path: Path, clip: Path) -> None:
    hearsight.binauralize(clip, tmp_path / "a.wav", sources=[(0.2, 0.4)], report=tmp_path / "report.json")
    hearsight.binauralize(clip, tmp_path / "b.wav", tracks=tmp_path / "report.json")
    assert torch.allclose(_ears(tmp_path / "a.wav"), _ears(tmp_path / "b.wav"), atol=1e-4)


def test_a_narrower_field_of_view_brings_a_source_nearer_to_the_middle(tmp_path: Path, clip: Path) -> None:
    levels = []
    for degrees in (120.0, 60.0, 20.0):
        hearsight.binauralize(clip, tmp_path / "out.wav", sources=[(0.1, 0.5)], fov_degrees=degrees)
        levels.append(float(interaural_level_difference_db(_ears(tmp_path / "out.wav"), 48_000).mean()))
    assert levels[0] > levels[1] > levels[2] > 0.5


def test_the_default_output_is_beside_the_input(tmp_path: Path, clip: Path) -> None:
    here = tmp_path / "my clip.mkv"
    here.write_bytes(clip.read_bytes())
    report = hearsight.binauralize(here, sources=[(0.3, 0.3)])
    assert report.output == str(tmp_path / "my clip.binaural.mkv") == str(default_output(here))
    assert av.open(report.output).streams.video[0].codec_context.name == "h264"


# --- what is refused ---


def test_the_input_itself_is_never_replaced(tmp_path: Path, clip: Path) -> None:
    here = tmp_path / "clip.mkv"
    here.write_bytes(clip.read_bytes())
    (tmp_path / "link.mkv").symlink_to(here)
    for target in (here, tmp_path / "link.mkv"):
        with pytest.raises(HearsightError, check=coded("occupied")):
            hearsight.binauralize(here, target, sources=[(0.5, 0.5)])
    assert here.read_bytes() == clip.read_bytes()


def test_a_sound_without_picture_needs_positions(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", pink(1.0), 48_000)
    with pytest.raises(MediaError, match="--source", check=coded("no-picture")):
        hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.wav")
    report = hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.wav", sources=[(0.1, 0.5), (0.9, 0.5)])
    assert any("evenly" in note for note in report.notes)


def test_a_network_that_sees_refuses_a_sound_without_picture(tmp_path: Path) -> None:
    from hearsight.models.mono2binaural import Mono2Binaural

    soundfile.write(tmp_path / "in.wav", pink(1.0), 48_000)
    with pytest.raises(MediaError, match="mono2binaural", check=coded("no-picture")):
        hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.wav", NeuralModel(Mono2Binaural.small()))
    assert not (tmp_path / "out.wav").exists()


def test_several_given_sources_are_split_by_hearing_and_one_needs_none() -> None:
    one, two = [(0.2, 0.5)], [(0.2, 0.5), (0.8, 0.5)]
    for model in (None, "sounding-objects"):
        for sources in (one, two):
            chosen = choose_model(model, sources=sources)
            assert isinstance(chosen, GivenPositions) and chosen.name == "sounding-objects"
        assert not hasattr(choose_model(model, sources=one), "classifier")
    assert isinstance(choose_model("positions", sources=two), Positions)
    assert isinstance(choose_model(), SoundingObjects)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sources": [(1.2, 0.5)]}, DataError, r"1\.2,0\.5"),
        ({"model": "mono-mono", "sources": [(0.2, 0.5)]}, ModelError, r"sounding-objects .*positions; mono-mono"),
        ({"model": "no-such-model"}, ModelError, "known: sounding-objects, positions, mono-mono"),
        ({"model": "mono2binaural"}, ModelError, "train.*import-weights.*folder"),
        ({"model": "mix-and-separate"}, ModelError, "^mix-and-separate"),
        ({"fov_degrees": 0.0}, ModelError, "360"),
        ({"hrtf": "missing.sofa"}, DataError, r"missing\.sofa"),
        ({"tracks": "missing.json"}, DataError, r"missing\.json"),
        ({"sources": [(0.5, 0.5)], "tracks": "missing.json"}, ModelError, r"positions .*tracks"),
    ],
)
def test_wrong_requests_are_one_clear_line(
    tmp_path: Path, clip: Path, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        hearsight.binauralize(clip, tmp_path / "out.mkv", **options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_inputs_are_refused_and_those_without_a_suffix_get_one(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(MediaError, match=r"nothing\.mp4", check=coded("missing")):
        hearsight.binauralize(tmp_path / "nothing.mp4")
    (tmp_path / "bare").write_bytes(clip.read_bytes())
    report = hearsight.binauralize(tmp_path / "bare", model="mono-mono")
    assert report.output == str(tmp_path / "bare.binaural.mkv") and "no suffix" in report.notes[0]
    with pytest.raises(HearsightError, match="nowhere", check=coded("missing")):
        hearsight.binauralize(clip, tmp_path / "nowhere" / "out.mkv", sources=[(0.5, 0.5)])


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(15):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_still(0), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"mute\.mp4", check=coded("no-sound")):
        hearsight.binauralize(tmp_path / "mute.mp4", tmp_path / "out.mp4")


# --- load ---


def test_load_gives_callable_models(tmp_path: Path) -> None:
    mono, black = 0.1 * torch.randn(16_000), np.zeros((10, 36, 64, 3), np.uint8)
    MonoMono.small().save_pretrained(tmp_path / "mine")
    for model in (hearsight.load("mono-mono"), hearsight.load("positions"), hearsight.load(tmp_path / "mine")):
        for rate in (16_000, 44_100):
            ears = model(mono, black, sample_rate=rate, frame_rate=10)
            assert isinstance(ears, torch.Tensor)
            assert torch.allclose(ears[0], ears[1], atol=1e-5), model.name
            if model.name != "positions":  # which filters by the head's response from ahead
                assert torch.allclose(ears[0], mono, atol=1e-4), model.name
        array = model(mono.numpy(), torch.from_numpy(black), sample_rate=16_000, frame_rate=10.0)
        assert isinstance(array, np.ndarray) and array.shape == (2, 16_000)


def test_a_network_hears_the_same_at_any_rate() -> None:
    """What a network adds below its Nyquist frequency does not depend on the rate that the sound comes at."""
    network = Mono2Binaural.small()
    model = Model(NeuralModel(network, precision="float32"))
    black = np.zeros((4, 36, 64, 3), np.uint8)
    mono = torch.from_numpy(soxr.resample(pink(1.0)[:, 0] if pink(1.0).ndim > 1 else pink(1.0), 48_000, 16_000)).float()
    there = torch.from_numpy(soxr.resample(mono.numpy(), 16_000, 44_100)).float()
    at_16, at_44 = (
        difference(model(sound, black, sample_rate=rate, frame_rate=10))
        for sound, rate in ((mono, 16_000), (there, 44_100))
    )
    back = torch.from_numpy(soxr.resample(at_44.numpy(), 44_100, 16_000))[: len(at_16)]
    middle = slice(2000, 14_000)
    error = (back[middle] - at_16[: len(back)][middle]).norm() / at_16[middle].norm()
    assert error < 0.2, error  # the rest is what the resampler takes from the last of the band


@pytest.mark.wrong_shapes
def test_load_refuses_wrong_sounds_frames_rates_and_devices() -> None:
    model, sound, frames = hearsight.load("positions"), torch.zeros(100), np.zeros((2, 4, 4, 3), np.uint8)
    for arguments, rates, words in (
        ((torch.zeros(2, 100), frames), {"sample_rate": 16_000, "frame_rate": 5}, r"\[2, 100\]"),
        (([0.0] * 100, frames), {"sample_rate": 16_000, "frame_rate": 5}, "list$"),
        ((sound, frames.astype(np.float32)), {"sample_rate": 16_000, "frame_rate": 5}, "uint8"),
        ((sound,), {"sample_rate": 16_000}, "frames .*needed"),
        ((sound, frames), {"sample_rate": 16_000}, "frame_rate"),
        ((sound, frames), {"sample_rate": 0, "frame_rate": 5}, r"rate .* 0$"),
    ):
        with pytest.raises(ModelError, match=words):
            model(*arguments, **rates)
    with pytest.raises(TypeError, match="sample_rate"):
        model(sound, frames)  # a rate is never guessed
    with pytest.raises(ModelError, match="'cuda'", check=coded("unsupported")):
        hearsight.load("sounding-objects", device="cuda")


def test_the_public_names_are_those_that_dir_shows() -> None:
    assert set(dir(hearsight)) == set(hearsight.__all__)
    assert all(getattr(hearsight, name) is not None for name in dir(hearsight))
    assert issubclass(hearsight.ModelError, hearsight.HearsightError)
    assert "sounding-objects" in {model["name"] for model in hearsight.list_models(count=False)}


def test_a_former_name_still_works_and_says_the_new_one() -> None:
    with pytest.warns(FutureWarning, match=r"located .*positions"):
        assert hearsight.load("located").name == "positions"


def test_load_names_what_is_known_and_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'loacted'; known: sounding-objects, positions", check=coded("unknown")):
        hearsight.load("loacted")
    with pytest.raises(ModelError, match="nothing", check=coded("missing")):
        hearsight.load(str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"config\.json", check=coded("missing")):
        hearsight.load(tmp_path / "empty")


def test_one_model_serves_several_clips(tmp_path: Path, clip: Path) -> None:
    model = choose_model(sources=[(0.1, 0.5)])
    for name in ("a.wav", "b.wav"):
        hearsight.binauralize(clip, tmp_path / name, model)
    assert torch.equal(_ears(tmp_path / "a.wav"), _ears(tmp_path / "b.wav"))


# --- killed, full ---

_RUN = "import sys, torch; torch.set_num_threads(1); from hearsight.cli.main import main; main()"


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", _RUN, "binauralize", *map(str, arguments)]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "shares",
    [(0.8,), pytest.param((0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0), marks=pytest.mark.heavy)],
    ids=["once", "nine times"],
)
def test_a_process_killed_at_any_moment_leaves_no_output_or_a_whole_one(
    tmp_path: Path, shares: tuple[float, ...]
) -> None:
    path = make_video(tmp_path / "in.mkv", pink(20.0)[None])
    target = tmp_path / "out.mkv"
    command = _command(path, "-o", target, "--source", "0.2,0.5", "-q")
    subprocess.run(command, check=True, cwd=tmp_path)
    size, length = target.stat().st_size, _ears(target).shape
    killed = 0
    for share in shares:
        target.unlink(missing_ok=True)
        process = subprocess.Popen(command, cwd=tmp_path)
        while process.poll() is None and not _has_grown(tmp_path, share * size):
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if target.exists():
            assert _ears(target).shape == length
        for entry in set(tmp_path.iterdir()) - {path, target}:
            assert entry.name.startswith(".out.")
            entry.unlink()
    assert killed >= min(2, len(shares))


def _has_grown(folder: Path, size: float) -> bool:
    """Whether the hidden file that becomes the output is there and has this size."""
    for entry in folder.glob(".out.*"):
        try:
            return entry.stat().st_size >= size
        except FileNotFoundError:  # renamed meanwhile
            return True
    return False


@pytest.mark.heavy
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a tmpfs")
def test_a_full_disk_is_one_clear_line(tmp_path: Path, clip: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        command = _command(clip, "-o", small / "out.mkv", "--source", "0.2,0.5")
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and "disk is full" in lines[0]
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_picture_held_upright_covers_less_and_strength_narrows_it_too() -> None:
    for model in (choose_model(sources=[(0.0, 0.5)]), choose_model("positions", sources=[(0.0, 0.5)])):
        azimuths = []
        for size in ((180, 320), (320, 180)):
            session = model.session(ClipInfo(16_000, 1.0, 15.0, size))
            azimuths.append(session.sources()[0].track[0].azimuth_deg)
        assert azimuths == pytest.approx([60, 19], abs=0.1)
    narrow = choose_model("positions", sources=[(0.0, 0.5)], fov_degrees=90.0, options=Options(strength=0.5))
    session = narrow.session(ClipInfo(16_000, 1.0, 15.0, (320, 180)))
    assert session.sources()[0].track[0].azimuth_deg == pytest.approx(22.5)


def test_a_lens_says_how_wide_the_picture_is_unless_the_user_does() -> None:
    clip = ClipInfo(16_000, 1.0, 15.0, (1080, 1920), focal_length_mm=26.0)
    angles = [
        choose_model("positions", sources=[(0.0, 0.5)], **given).session(clip).sources()[0].track[0].azimuth_deg
        for given in ({}, {"fov_degrees": 90.0}, {"options": Options(strength=0.5)})
    ]
    assert angles == pytest.approx([71.9 / 2, 45, 71.9 / 4], abs=0.1)
