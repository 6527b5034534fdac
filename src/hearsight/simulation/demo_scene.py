"""Generated sample scene: a ball that bounces through the picture; each bounce plays a note."""

import os
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from hearsight.acoustics import picture_to_direction
from hearsight.files import written_whole

SAMPLE_RATE_HZ = 48_000
FRAME_RATE_HZ = 30
SIZE = (360, 640)

_EDGE = 0.12  # distance of the ball from the sides at its turning points
_FLOOR, _RADIUS = 0.82, 0.045  # fractions of the picture's height and width
_NOTES_HZ = (261.6, 293.7, 329.6, 392.0, 440.0, 523.3, 587.3)  # a pentatonic scale
_DECAY_S = 0.35


@dataclass(frozen=True)
class SampleScene:
    """Positions and times of a sample scene.

    Attributes:
        duration_s: duration of picture and sound.
        bounces_s: times at which the ball hits the floor and a note begins.
    """

    duration_s: float
    bounces_s: Float[np.ndarray, "bounces"]

    def x(self, times_s: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
        """Horizontal position of the ball: from the left to the right and back."""
        return 0.5 - (0.5 - _EDGE) * np.cos(2 * np.pi * np.asarray(times_s) / self.duration_s)

    def y(self, times_s: Float[np.ndarray, "times"]) -> Float[np.ndarray, "times"]:
        """Vertical position of the ball: a parabola from bounce to bounce."""
        times_s = np.asarray(times_s)
        after = np.clip(np.searchsorted(self.bounces_s, times_s, side="right"), 1, len(self.bounces_s) - 1)
        begin, end = self.bounces_s[after - 1], self.bounces_s[after]
        flight = np.clip((times_s - begin) / (end - begin), 0, 1)
        return _FLOOR - 2.4 * (end - begin) ** 2 * flight * (1 - flight)

    def frame(self, time_s: float) -> UInt8[np.ndarray, "height width 3"]:
        """The picture at a time, RGB."""
        height, width = SIZE
        picture = _background()
        x, y = float(self.x(np.array([time_s]))[0]), float(self.y(np.array([time_s]))[0])
        radius = round(_RADIUS * width)
        floor = round(_FLOOR * height) + radius
        shade = max(0.2, 1 - 2 * (_FLOOR - y))
        shadow = (round(x * width), floor)
        cv2.ellipse(picture, shadow, (round(radius * shade), round(radius * shade / 4)), 0, 0, 360, (40, 40, 46), -1)
        centre = (round(x * width * 16), round(y * height * 16))  # sixteenths of a pixel
        cv2.circle(picture, centre, radius * 16, (236, 112, 52), -1, cv2.LINE_AA, 4)
        glint = (centre[0] - radius * 5, centre[1] - radius * 5)
        cv2.circle(picture, glint, radius * 5, (255, 208, 170), -1, cv2.LINE_AA, 4)
        return picture

    def sound(self) -> Float[np.ndarray, "samples"]:
        """Sound of the notes: a struck bar with two overtones, and the click of the hit."""
        generator = np.random.default_rng(7)
        total = round(self.duration_s * SAMPLE_RATE_HZ)
        sound = np.zeros(total + SAMPLE_RATE_HZ)
        time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        for bounce in self.bounces_s[self.bounces_s < self.duration_s]:
            pitch = generator.choice(_NOTES_HZ)
            note = sum(
                gain * np.sin(2 * np.pi * pitch * ratio * time) * np.exp(-time * ratio / _DECAY_S)
                for ratio, gain in ((1.0, 1.0), (3.93, 0.35), (9.2, 0.12))
            )
            click = generator.standard_normal(len(time)) * np.exp(-time / 0.004)
            at = round(bounce * SAMPLE_RATE_HZ)
            sound[at : at + len(time)] += 0.25 * note + 0.12 * click
        return np.clip(sound[:total], -0.95, 0.95).astype(np.float32)


def sample_scene(duration_s: float = 20.0, seed: int = 3) -> SampleScene:
    """Make a scene of a ball that bounces at uneven times, 0.4 to 0.8 s apart."""
    generator = np.random.default_rng(seed)
    gaps = generator.uniform(0.4, 0.8, size=int(duration_s / 0.4) + 4)
    return SampleScene(duration_s, np.cumsum(gaps) - 0.2)


def write_sample_scene(scene: SampleScene, path: str | os.PathLike[str]) -> None:
    """Write the scene as a video with mono sound: H.264 (MPEG-4 Part 2 where FFmpeg lacks it) and AAC.

    Raises:
        HearsightError: the file cannot be written.
    """
    height, width = SIZE
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with written_whole(path) as temporary, av.open(str(temporary), "w") as container:
        picture = container.add_stream(codec, rate=FRAME_RATE_HZ)
        assert isinstance(picture, VideoStream)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        picture.bit_rate = 2_000_000
        voice = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        assert isinstance(voice, AudioStream)
        voice.bit_rate = 128_000
        sound = scene.sound()
        for number in range(round(scene.duration_s * FRAME_RATE_HZ)):
            frame = av.VideoFrame.from_ndarray(scene.frame(number / FRAME_RATE_HZ), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE_HZ)
            container.mux(picture.encode(frame))
            samples = slice(number * SAMPLE_RATE_HZ // FRAME_RATE_HZ, (number + 1) * SAMPLE_RATE_HZ // FRAME_RATE_HZ)
            block = av.AudioFrame.from_ndarray(sound[None, samples], format="fltp", layout="mono")
            block.sample_rate, block.pts = SAMPLE_RATE_HZ, samples.start
            block.time_base = Fraction(1, SAMPLE_RATE_HZ)
            container.mux(voice.encode(block))
        container.mux(picture.encode(None))
        container.mux(voice.encode(None))


def _background() -> UInt8[np.ndarray, "height width 3"]:
    """Background with a wall, a floor and some boards, so that optical flow can measure motion."""
    height, width = SIZE
    wall = np.linspace(210, 150, height)[:, None, None] * np.array([0.92, 0.96, 1.0])
    picture = np.repeat(wall, width, axis=1).astype(np.uint8)
    floor = round((_FLOOR + _RADIUS) * height)
    picture[floor:] = (118, 96, 80)
    for board in range(0, width, width // 16):
        cv2.line(picture, (board, 0), (board, floor), (140, 148, 158), 1)
        lower = round(width / 2 + (board - width / 2) * 1.6)
        cv2.line(picture, (board, floor), (lower, height), (92, 74, 60), 1)
    return np.ascontiguousarray(picture)


def true_direction_deg(scene: SampleScene, times_s: np.ndarray, field_of_view: float) -> Float[np.ndarray, "times"]:
    """Azimuth of the ball in degrees, positive to the left."""
    x, y = torch.from_numpy(scene.x(times_s)), torch.from_numpy(scene.y(times_s))
    return torch.rad2deg(picture_to_direction(x, y, field_of_view)[0]).numpy()
