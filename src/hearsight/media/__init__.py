"""Audio and video files in and out.

Clip time is counted in seconds from the first sample of the sound, as a player presents it; pictures may begin before.
"""

from hearsight.media.codecs import SOUND_CODECS
from hearsight.media.media_info import AudioInfo, MediaInfo, VideoInfo, probe
from hearsight.media.mono import mix_to_mono
from hearsight.media.picture import SmallFrame, VideoFrame, read_frames, read_small_frames
from hearsight.media.sound import read_audio, read_sound, write_wav
from hearsight.media.writer import BinauralWriter

__all__ = [
    "SOUND_CODECS",
    "AudioInfo",
    "BinauralWriter",
    "MediaInfo",
    "SmallFrame",
    "VideoFrame",
    "VideoInfo",
    "mix_to_mono",
    "probe",
    "read_audio",
    "read_frames",
    "read_small_frames",
    "read_sound",
    "write_wav",
]
