"""Sound of a concert: each player dry and at both ears, the noise, and the mix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearsight.acoustics import HRIRSet
from hearsight.simulation.materials import absorption
from hearsight.simulation.music import Music, compose
from hearsight.simulation.room_response import KEY_S, RoomResponse, diffuse_noise
from hearsight.simulation.scene import Scene
from hearsight.simulation.settings import Settings
from hearsight.simulation.synthesizer import Synthesizer

LEVELS_DB = {
    "drums": 0.0,
    "trumpet": 0.0,
    "piano": -3.0,
    "banjo": -4.0,
    "cello": -5.0,
    "upright bass": -5.0,
    "harp": -7.0,
    "acoustic guitar": -7.0,
    "ukulele": -9.0,
}
"""Level of each instrument at 1 m while it plays, relative to the loudest: a plausible order, not a measurement."""

PEAK = 0.7
"""Peak of a clip's mix; full scale is 1."""

FULL_SCALE = 32767


@dataclass(frozen=True)
class Sound:
    """All sounds of a clip as 16-bit integers.

    Attributes:
        music: the notes.
        dry: each player alone without room, with a scale of its own. `[players, samples]`
        dry_scale: factor from `dry / 32767` to the pressure at 1 m in the scale of `ears`. `[players]`
        ears: each player at the left and the right ear. `[players, 2, samples]`
        noise: noise floor at the ears. `[2, samples]`
        mix: the sum of `ears` and `noise`, exactly. `[2, samples]`
        gain: factor that brings the clip's sound to PEAK.
        noise_db: root mean square of the noise relative to full scale.
    """

    music: Music
    dry: NDArray[np.int16]
    dry_scale: tuple[float, ...]
    ears: NDArray[np.int16]
    noise: NDArray[np.int16]
    mix: NDArray[np.int16]
    gain: float
    noise_db: float


def make_sound(scene: Scene, settings: Settings, synthesizer: Synthesizer, hrirs: HRIRSet) -> Sound:
    """Compose, play and place the sound of a scene.

    Args:
        hrirs: HRIRs at any sample rate; they are resampled.
    """
    rng = np.random.default_rng([settings.seed, 3, scene.number])
    instruments = [performer.instrument for performer in scene.performers]
    music = compose(rng, instruments, [performer.rests for performer in scene.performers], settings.seconds)
    hrirs = hrirs.at_rate(settings.sample_rate_hz)
    response = room_response(scene, hrirs)
    times = key_times(scene, settings)
    to_head = scene.listener.to_head(times)
    dry = np.zeros((len(instruments), settings.samples))
    ears = np.zeros((len(instruments), 2, settings.samples))
    for index, (performer, notes) in enumerate(zip(scene.performers, music.parts, strict=True)):
        tail_rng = np.random.default_rng([settings.seed, 4, scene.number, index])
        if not notes:
            continue
        alone = synthesizer.play(performer.instrument, notes, settings.seconds, settings.sample_rate_hz)
        dry[index] = alone * (10 ** (LEVELS_DB[performer.instrument] / 20) / _playing_rms(alone))
        place = np.array(performer.source)
        ears[index] = response.to_ears(dry[index], place, to_head, times, tail_rng, direct_only=settings.open_air)
    noise_db = float(rng.uniform(-72, -62))
    noise = diffuse_noise(hrirs, settings.samples, rng) * 10 ** (noise_db / 20)
    peak = np.abs(ears.sum(axis=0)).max()
    gain = PEAK / peak if peak > 0 else 1.0
    heard = np.round(ears * gain * FULL_SCALE).astype(np.int16)
    floor = np.round(noise * FULL_SCALE).astype(np.int16)
    dry_peak = np.abs(dry).max(axis=1)
    scale = np.where(dry_peak > 0, dry_peak / 0.95, 1.0)
    return Sound(
        music, np.round(dry / scale[:, None] * FULL_SCALE).astype(np.int16), tuple(float(s * gain) for s in scale),
        heard, floor, (heard.sum(axis=0) + floor).astype(np.int16), float(gain), noise_db,
    )  # fmt: skip


def room_response(scene: Scene, hrirs: HRIRSet) -> RoomResponse:
    """Room response of a scene; `hrirs` at the sound's sample rate."""
    room = scene.room
    return RoomResponse(
        np.array(room.size), absorption(room.materials), np.array(room.reverberation_s),
        np.array(scene.listener.position), hrirs,
    )  # fmt: skip


def loudest_response(scene: Scene, settings: Settings, sound: Sound, hrirs: HRIRSet) -> NDArray[np.int16]:
    """Impulse response from the loudest performer to both ears, with the head as at the clip's start; its peak is PEAK.

    Time 0 is the emission. The diffuse part is drawn independently of the one in the clip's sound.
    """
    loudest = int(np.square(sound.ears.astype(np.float64)).sum((1, 2)).argmax())
    at_rate = hrirs.at_rate(settings.sample_rate_hz)
    rng = np.random.default_rng([settings.seed, 5, scene.number])
    place = np.array(scene.performers[loudest].source)
    response = room_response(scene, at_rate).response(place, scene.listener.to_head(np.zeros(1))[0], rng)
    return np.round(response * (PEAK / np.abs(response).max()) * FULL_SCALE).astype(np.int16)


def key_times(scene: Scene, settings: Settings) -> NDArray[np.float64]:
    """Times at which `RoomResponse.to_ears` needs the head's orientation."""
    if scene.listener.motion == "still":
        return np.zeros(1)
    return KEY_S * np.arange(int(np.ceil(settings.seconds / KEY_S)) + 1, dtype=np.float64)


def _playing_rms(sound: NDArray[np.float32]) -> float:
    """Root mean square over the 50 ms blocks within 40 dB of the loudest one."""
    size = max(1, min(len(sound) // 40, 2400))
    blocks = sound[: len(sound) // size * size].reshape(-1, size)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    return float(np.sqrt(power[power > 1e-4 * power.max()].mean()))
