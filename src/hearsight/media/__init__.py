"""Reading and writing of audio and video files.

Clip time is counted in seconds from the first sample of the sound, as a player presents it; pictures may begin before.
"""

from hearsight.media.adm import AdmObject, write_adm
from hearsight.media.boxes import is_equirectangular
from hearsight.media.codecs import SOUND_CODECS
from hearsight.media.containers import CONTAINERS
from hearsight.media.encoding import DRAWN_SUFFIXES, write_video
from hearsight.media.media_info import AudioInfo, MediaInfo, VideoInfo, probe
from hearsight.media.mono import mix_to_mono
from hearsight.media.outputs import fitting_output, part_start
from hearsight.media.picture import SmallFrame, VideoFrame, read_frames, read_small_frames
from hearsight.media.selection import Selection
from hearsight.media.sound import read_audio, read_sound, write_wav
from hearsight.media.sound_tracks import Choice, SoundTrack, choose_streams
from hearsight.media.stereo_image import StereoImage, stereo_image
from hearsight.media.writer import BinauralWriter

__all__ = [
    "CONTAINERS",
    "DRAWN_SUFFIXES",
    "SOUND_CODECS",
    "AdmObject",
    "AudioInfo",
    "BinauralWriter",
    "Choice",
    "MediaInfo",
    "Selection",
    "SmallFrame",
    "SoundTrack",
    "StereoImage",
    "VideoFrame",
    "VideoInfo",
    "choose_streams",
    "fitting_output",
    "is_equirectangular",
    "mix_to_mono",
    "part_start",
    "probe",
    "read_audio",
    "read_frames",
    "read_small_frames",
    "read_sound",
    "stereo_image",
    "write_adm",
    "write_video",
    "write_wav",
]
