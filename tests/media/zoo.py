"""Files of all formats, each made with FFmpeg's own encoders, and what becomes of each.

`python tests/media/zoo.py` prints the table of `docs/reference/zoo.md`, which `test_zoo.py` holds.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from media_clips import Clip, clicks_after_flashes, make_clip, packet_hash

from hearsight.errors import HearsightError
from hearsight.inference import Asked, Options, plan
from hearsight.media import Selection, probe

SECONDS = 1.0
Change = Callable[[Path], None]


@dataclass
class Animal:
    """A file of the zoo.

    Attributes:
        name: its name; the suffix names the container, unless `container` does.
        clip: what is in it; None: `change` writes it all.
        container: suffix under which it is made.
        change: what is done to the finished file.
        options: of `binauralize`.
        in_step: whether flash and click can be compared.
    """

    name: str
    clip: Clip | None = None
    container: str | None = None
    change: Change | None = None
    options: dict[str, Any] = field(default_factory=dict)
    in_step: bool = True

    def make(self, folder: Path) -> Path:
        """Write the file into a folder."""
        path = folder / self.name
        if self.clip is not None:
            made = make_clip(folder / f"made{self.container}" if self.container else path, self.clip)
            if made != path:
                made.rename(path)
        if self.change is not None:
            self.change(path)
        return path

    def contents(self) -> str:
        """What is in it, in words."""
        if self.clip is None:
            return self.change.__doc__ or "" if self.change else ""
        parts = [part for part in (self.clip.picture, self.clip.sound) if part]
        note = f", {self.change.__doc__}" if self.change and self.change.__doc__ else ""
        return " + ".join(parts) + note + (f", made as {self.container}" if self.container else "")


def clip(picture: str | None, sound: str | None, **fields: Any) -> Clip:
    """A second of small pictures and sound, with a flash and a click at 0.4 s."""
    return Clip(picture, sound, **{"seconds": SECONDS, "flashes_s": (0.4,), "clicks_s": (0.4,), **fields})


def outcome(animal: Animal, folder: Path) -> tuple[str, str]:
    """(what it becomes, what is said), after a run through a cheap model.

    Raises:
        AssertionError: the picture lost a bit, or is out of step.
    """
    source = animal.make(folder)
    try:
        (request,) = plan([source], folder / "out", Asked("mono-mono", options=Options(**animal.options)))
        report = request.run()
    except HearsightError as error:
        assert not list((folder / "out").glob("*")), "nothing half written"
        return "refused", str(error).removeprefix(f"{source}: ")
    output = Path(report.output)
    info = probe(output)
    assert info.audio is not None and info.audio.channels == 2
    codecs = [info.video.codec] if info.video else []
    if animal.change is _cover:
        with av.open(str(output)) as container:
            assert any(stream.disposition & av.stream.Disposition.attached_pic for stream in container.streams.video)
    had_picture = animal.clip is not None and animal.clip.picture is not None
    if had_picture:
        assert info.video is not None, "the picture is lost"
        before = probe(source, Selection(salvage=True))
        same_container = before.container.split(",")[0] == info.container.split(",")[0]
        if same_container and not animal.options:
            assert packet_hash(output) == packet_hash(source)
        if animal.in_step and animal.clip is not None and animal.clip.sound and not animal.options:
            offset = np.array(clicks_after_flashes(output)) - clicks_after_flashes(source)
            assert np.abs(offset).max() < 0.0016, f"out of step by {1000 * np.abs(offset).max():.2f} ms"
    notes = [note.replace(str(folder), "").replace("/out/", "") for note in report.notes]
    return f"{output.suffix}: {' + '.join([*codecs, info.audio.codec])}", "; ".join(notes)


def _bytes(text: bytes, words: str) -> Change:
    def change(path: Path) -> None:
        path.write_bytes(text)

    change.__doc__ = words
    return change


def _cut(share: float) -> Change:
    def change(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    change.__doc__ = f"cut off after {100 * share:.0f} %"
    return change


def _riff_length(length: int | None) -> Change:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        said = int.from_bytes(data[4:8], "little")
        data[4:8] = (said + 8 if length is None else length).to_bytes(4, "little")
        path.write_bytes(data)

    change.__doc__ = "RIFF length too large by 8" if length is None else f"RIFF length {length:#x}"
    return change


def _channels(gains: list[float], words: str) -> Change:
    """Replace the sound of a WAV file by noise in each channel with these gains."""

    def change(path: Path) -> None:
        import soundfile

        noise = np.random.default_rng(0).normal(0, 0.05, round(48_000 * SECONDS))
        soundfile.write(path, np.stack([gain * noise for gain in gains], axis=1), 48_000, format="WAV")

    change.__doc__ = words
    return change


def _cover(path: Path) -> None:
    """cover art"""
    made = path.with_name(f"plain{path.suffix}")
    path.rename(made)
    with (
        av.open(str(made)) as source,
        av.open(str(path), "w", format="mp4" if path.suffix == ".m4a" else None) as output,
    ):
        sound = output.add_stream_from_template(source.streams.audio[0], opaque=True)
        cover = output.add_stream("png", rate=25)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24")
        output.start_encoding()
        for packet in cover.encode(picture) + cover.encode(None):
            packet.pts = packet.dts = 0
            output.mux(packet)
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = sound
                output.mux(packet)
    made.unlink()


def _aspect(output: Any) -> None:
    output.streams.video[0].codec_context.sample_aspect_ratio = Fraction(4, 3)


_ENCRYPTED = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "0123456789abcdef0123456789abcdef",
    "encryption_kid": "fedcba9876543210fedcba9876543210",
}
_DV = {"size": (576, 720), "layout": "stereo"}

ANIMALS = [
    # Videos, by container.
    Animal("h264-aac.mp4", clip("libx264", "aac")),
    Animal("hevc-aac.mp4", clip("libx265", "aac")),
    Animal("mpeg4-aac.mp4", clip("mpeg4", "aac")),
    Animal("av1-aac.mp4", clip("libsvtav1", "aac", size=(64, 64))),
    Animal("vp9-opus.mp4", clip("libvpx-vp9", "libopus")),
    Animal("h264-alac.mp4", clip("libx264", "alac")),
    Animal("h264-mp3.mp4", clip("libx264", "libmp3lame")),
    Animal("h264-ac3.mp4", clip("libx264", "ac3")),
    Animal("h264-flac.mp4", clip("libx264", "flac")),
    Animal("H264-AAC.MP4", clip("libx264", "aac"), container=".mp4"),
    Animal("h264-aac.m4v", clip("libx264", "aac"), container=".mp4"),
    Animal("h264-aac.f4v", clip("libx264", "aac")),
    Animal("prores-pcm.mov", clip("prores_ks", "pcm_s16le")),
    Animal("h264-pcm24.mov", clip("libx264", "pcm_s24le")),
    Animal("mjpeg-pcm.mov", clip("mjpeg", "pcm_s16be")),
    Animal("qtrle-pcm.mov", clip("qtrle", "pcm_s16le", pixel_format="rgb24")),
    Animal("png-pcm.mov", clip("png", "pcm_s16le")),
    Animal("h264-aac.qt", clip("libx264", "aac"), container=".mov"),
    Animal("h264-aac.3gp", clip("libx264", "aac")),
    Animal("h263-aac.3g2", clip("h263", "aac", size=(144, 176))),
    Animal("h264-flac.mkv", clip("libx264", "flac")),
    Animal("hevc-opus.mkv", clip("libx265", "libopus")),
    Animal("vp8-opus.mkv", clip("libvpx", "libopus")),
    Animal("vp9-opus.mkv", clip("libvpx-vp9", "libopus")),
    Animal("ffv1-flac.mkv", clip("ffv1", "flac")),
    Animal("mpeg2-ac3.mkv", clip("mpeg2video", "ac3")),
    Animal("mjpeg-pcm.mkv", clip("mjpeg", "pcm_s16le")),
    Animal("mpeg4-mp3.mkv", clip("mpeg4", "libmp3lame")),
    Animal("prores-pcm.mkv", clip("prores_ks", "pcm_s24le")),
    Animal("vp8-opus.webm", clip("libvpx", "libopus")),
    Animal("vp9-opus.webm", clip("libvpx-vp9", "libopus")),
    Animal("mpeg4-pcm.avi", clip("mpeg4", "pcm_s16le")),
    Animal("mpeg4-mp3.avi", clip("mpeg4", "libmp3lame"), in_step=False),
    Animal("mjpeg-pcm.avi", clip("mjpeg", "pcm_s16le")),
    Animal("huffyuv-pcm.avi", clip("huffyuv", "pcm_s16le", pixel_format="yuv422p")),
    Animal("utvideo-pcm.avi", clip("utvideo", "pcm_s16le")),
    Animal("ffv1-pcm.avi", clip("ffv1", "pcm_s16le")),
    Animal("wmv2-pcm.avi", clip("wmv2", "pcm_s16le", size=(64, 64))),
    Animal("dv-pcm.avi", clip("dvvideo", "pcm_s16le", **_DV)),
    Animal("raw-pcm.avi", clip("rawvideo", "pcm_s16le")),
    Animal("mpeg4-pcm.divx", clip("mpeg4", "pcm_s16le"), container=".avi"),
    Animal("h264-aac.ts", clip("libx264", "aac")),
    Animal("hevc-aac.ts", clip("libx265", "aac")),
    Animal("mpeg2-mp2.ts", clip("mpeg2video", "mp2", size=(144, 176))),
    Animal("h264-ac3.m2ts", clip("libx264", "ac3")),
    Animal("h264-aac.mts", clip("libx264", "aac")),
    Animal("mpeg1-mp2.mpg", clip("mpeg1video", "mp2"), in_step=False),
    Animal("mpeg2-mp2.mpeg", clip("mpeg2video", "mp2"), in_step=False),
    Animal("mpeg2-ac3.vob", clip("mpeg2video", "ac3"), in_step=False),
    Animal("wmv2-wma.wmv", clip("wmv2", "wmav2", size=(64, 64))),
    Animal("wmv1-mp3.asf", clip("wmv1", "libmp3lame", size=(64, 64)), in_step=False),
    Animal("flv1-mp3.flv", clip("flv", "libmp3lame", sample_rate_hz=44_100)),
    Animal("h264-aac.flv", clip("libx264", "aac")),
    Animal("vp8-opus.ogv", clip("libvpx", "libopus"), in_step=False),
    Animal("vp8-opus.ogg", clip("libvpx", "libopus"), in_step=False),
    Animal("mpeg2-pcm.mxf", clip("mpeg2video", "pcm_s16le", pixel_format="yuv422p", size=(144, 176)), in_step=False),
    Animal("ffv1-pcm.nut", clip("ffv1", "pcm_s16le")),
    Animal("dv-pcm.dv", clip("dvvideo", "pcm_s16le", **_DV), in_step=False),
    Animal("flv1-mp3.swf", clip("flv", "libmp3lame", sample_rate_hz=44_100), in_step=False),
    Animal("mpeg2-mp2.wtv", clip("mpeg2video", "mp2", size=(144, 176)), in_step=False),
    Animal("rv10-ac3.rm", clip("rv10", "ac3", size=(144, 176)), in_step=False),
    # Sounds.
    *(Animal(f"{codec}.wav", clip(None, codec)) for codec in ("pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_u8")),
    Animal("alaw.wav", clip(None, "pcm_alaw", sample_rate_hz=8000)),
    Animal("pcm.w64", clip(None, "pcm_s16le")),
    Animal("pcm.aiff", clip(None, "pcm_s16be")),
    Animal("pcm.caf", clip(None, "pcm_s16le")),
    Animal("pcm.au", clip(None, "pcm_s16be")),
    Animal("flac.flac", clip(None, "flac")),
    Animal("mp3.mp3", clip(None, "libmp3lame")),
    Animal("mp2.mp2", clip(None, "mp2")),
    Animal("aac.m4a", clip(None, "aac")),
    Animal("alac.m4a", clip(None, "alac")),
    Animal("aac.m4b", clip(None, "aac")),
    Animal("aac.aac", clip(None, "aac")),
    Animal("ac3.ac3", clip(None, "ac3")),
    Animal("opus.opus", clip(None, "libopus")),
    Animal("opus.ogg", clip(None, "libopus")),
    Animal("flac.oga", clip(None, "flac")),
    Animal("flac.mka", clip(None, "flac")),
    Animal("wma.wma", clip(None, "wmav2")),
    Animal("wavpack.wv", clip(None, "wavpack")),
    Animal("tta.tta", clip(None, "tta")),
    Animal("cover.mp3", clip(None, "libmp3lame"), change=_cover),
    Animal("cover.m4a", clip(None, "aac"), container=".mp4", change=_cover),
    Animal("cover.flac", clip(None, "flac"), change=_cover),
    # Names.
    Animal("without-suffix", clip("libx264", "aac"), container=".mp4"),
    Animal("matroska-called.mp4", clip("libx264", "aac"), container=".mkv"),
    Animal("mp4-called.xyz", clip("libx264", "aac"), container=".mp4"),
    Animal(f"{'n' * 243}.mkv", clip("libx264", "flac"), container=".mkv"),
    Animal("名前 мир é.mp4", clip("libx264", "aac")),
    # Times, shapes and channels.
    Animal("sound-later.mp4", clip("libx264", "aac", sound_start_s=0.2)),
    Animal("picture-later.mkv", clip("libx264", "flac", picture_start_s=0.2)),
    Animal("turned.mp4", clip("libx264", "aac", rotation_deg=90)),
    Animal("narrow-pixels.mp4", clip("libx264", "aac", before_header=_aspect)),
    Animal("interlaced.mkv", clip("libx264", "flac", interlaced=True)),
    Animal("variable-rate.mp4", clip("libx264", "aac", frame_times_s=(0, 0.1, 0.15, 0.4, 0.44, 0.8))),
    Animal("fragmented.mp4", clip("libx264", "aac", container_options={"movflags": "frag_keyframe+empty_moov"})),
    Animal("mono.mp4", clip("libx264", "aac", layout="mono")),
    Animal("surround.mkv", clip("libx264", "flac", layout="5.1")),
    Animal("seven-one.mkv", clip("libx264", "flac", layout="7.1")),
    Animal("8khz.mkv", clip("libx264", "flac", sample_rate_hz=8000)),
    Animal("192khz.mov", clip("libx264", "pcm_s24le", sample_rate_hz=192_000)),
    Animal("silent.wav", clip(None, "pcm_s16le", clicks_s=())),
    Animal("inverted.wav", change=_channels([1.0, -1.0], "a channel inverted")),
    Animal("one-sided.wav", change=_channels([1.0, 0.0], "a channel silent")),
    # What is damaged, or no video.
    Animal("empty.mp4", change=_bytes(b"", "nothing")),
    Animal("text.mp4", change=_bytes(b"This is no video.\n" * 50, "text")),
    Animal("random.mkv", change=_bytes(bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "noise")),
    Animal("playlist.m3u8", change=_bytes(b"#EXTM3U\n#EXTINF:1,\nhttp://x/a.ts\n", "a playlist")),
    Animal("no-sound.mp4", clip("libx264", None)),
    Animal("cut.mp4", clip("libx264", "aac"), change=_cut(0.5)),
    Animal("cut.mkv", clip("libx264", "flac"), change=_cut(0.5)),
    Animal("cut-salvaged.mkv", clip("libx264", "flac"), change=_cut(0.5), options={"salvage": True}),
    Animal("cut.wav", clip(None, "pcm_s16le"), change=_cut(0.5)),
    Animal("cut.ts", clip("libx264", "aac"), change=_cut(0.7), in_step=False),
    Animal("riff-8.wav", clip(None, "pcm_s16le"), change=_riff_length(None)),
    Animal("riff-pipe.wav", clip(None, "pcm_s16le"), change=_riff_length(0x7FFFF024)),
    Animal("riff-8.avi", clip("mjpeg", "pcm_s16le"), change=_riff_length(None)),
    Animal("encrypted.mp4", clip("libx264", "aac", container_options=_ENCRYPTED)),
]


def row(animal: Animal, becomes: str, said: str) -> str:
    """A line of the table."""
    name = animal.name if len(animal.name) < 60 else f"{animal.name[0]} x {len(animal.name) - 4}{animal.name[-4:]}"
    return f"| {name} | {animal.contents()} | {becomes} | {said.replace('|', '/')} |"


def table(rows: list[tuple[Animal, str, str]]) -> str:
    """The rows as the documentation shows them."""
    return (
        "\n".join(["| file | in it | becomes | said |", "| --- | --- | --- | --- |", *(row(*each) for each in rows)])
        + "\n"
    )


if __name__ == "__main__":
    rows = []
    for animal in ANIMALS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append((animal, *outcome(animal, Path(folder))))
            except Exception as error:
                rows.append((animal, "FAULT", f"{type(error).__name__}: {error}".splitlines()[0]))
                print(rows[-1][0].name, rows[-1][1:], file=sys.stderr, flush=True)
    print(table(rows), end="")
