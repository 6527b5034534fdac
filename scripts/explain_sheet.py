"""Draw a contact sheet of explanation maps: a row per simulated clip, a column per model, white boxes around sources.

    python scripts/explain_sheet.py players-test docs/images/explain.jpg --clips 4 \\
        runs/small/mono2binaural-0/model:occlusion runs/small/apnet-0/model:association
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from hearsight.datasets.fair_play_layout import clip_name
from hearsight.explain import map_maker, moments_of_clip, overlay
from hearsight.explain.drawing import labelled
from hearsight.files import written_whole
from hearsight.inference import NeuralModel
from hearsight.media import read_frames, read_sound
from hearsight.models.saving import load_network
from hearsight.nn.imagenet import normalize_picture
from hearsight.signal import resample
from hearsight.simulation.scene_file import sounding_boxes

SIZE = (160, 320)  # rows and columns of a panel


def panel(folder: Path, name: str, source: str, method: str) -> np.ndarray:
    """Draw the map of a clip's first window over its picture."""
    network = load_network(source)
    model = NeuralModel(network, precision="float32", crops="whole")
    sound, rate = read_sound(folder / "binaural_audios" / f"{name}.wav")
    window_s = network.segment_samples / network.sample_rate_hz
    time_s = window_s / 2
    picture = next(read_frames(folder / "videos" / f"{name}.mp4", 1.0, SIZE, time_s)).rgb
    seen = next(read_frames(folder / "videos" / f"{name}.mp4", 1.0, network.frame_size, time_s)).rgb
    ears = resample(sound, rate, network.sample_rate_hz)
    moment = next(moments_of_clip(ears, [(time_s, normalize_picture(seen))], network))
    title, heat = next(iter(map_maker(model, method)(moment).items()))
    drawn = overlay(picture, heat / max(1e-30, float(heat.max())))
    for left, top, right, bottom in sounding_boxes(folder / "scenes" / f"{name}.json", [time_s], window_s)[0]:
        corners = (
            (round(left * SIZE[1]), round(top * SIZE[0])),
            (round(right * SIZE[1]) - 1, round(bottom * SIZE[0]) - 1),
        )
        cv2.rectangle(drawn, *corners, (255, 255, 255), 1)
    return labelled(drawn, f"{network.system}: {title}")


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="simulated clips")
    parser.add_argument("target", type=Path, help="a .jpg or .png file")
    parser.add_argument("columns", nargs="+", metavar="MODEL:METHOD")
    parser.add_argument("--clips", type=int, default=4)
    arguments = parser.parse_args()
    rows = []
    for number in range(1, arguments.clips + 1):
        columns = (column.rpartition(":") for column in arguments.columns)
        rows.append(np.hstack([panel(arguments.folder, clip_name(number), model, how) for model, _, how in columns]))
    with written_whole(arguments.target) as temporary:
        cv2.imwrite(str(temporary), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
