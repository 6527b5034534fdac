"""Lists of mono clips, and clips decoded once."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded
from pseudo_material import BOXES, COLOURS, LEVELS, RATE, picture_of, write_clips

from hearsight.datasets.fair_play_layout import write_clip
from hearsight.errors import DataError
from hearsight.pseudo.boxes import Box, read_boxes
from hearsight.pseudo.mono_clips import read_clip_list
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips, prepare_mono_clips


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def prepared(material, tmp_path_factory):
    return prepare_mono_clips(read_clip_list(material), tmp_path_factory.mktemp("prepared") / "clips")


def test_text_lists_name_videos_or_sound_with_pictures(tmp_path):
    (tmp_path / "list.txt").write_text("# solos\nvideos/a, b.mp4\n\nsound/1.mp3,patches/1\n")
    video, pair = read_clip_list(tmp_path / "list.txt")
    assert video.picture == video.sound == tmp_path / "videos/a, b.mp4"
    assert (pair.sound, pair.picture) == (tmp_path / "sound/1.mp3", tmp_path / "patches/1")


def test_csv_and_json_lists_say_the_same(tmp_path):
    (tmp_path / "list.csv").write_text("clip,label,x0,y0,x1,y1\na.mp4,cello,0.1,0.2,0.3,0.4\nb.mp4,,,,,\n")
    entries = [{"clip": "a.mp4", "label": "cello", "box": [0.1, 0.2, 0.3, 0.4]}, "b.mp4"]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    assert read_clip_list(tmp_path / "list.csv") == read_clip_list(tmp_path / "list.json")
    assert read_clip_list(tmp_path / "list.csv")[0].box == (0.1, 0.2, 0.3, 0.4)


def test_a_folder_lists_its_videos_by_name(tmp_path):
    for name in ("b.mp4", "a.MKV", "notes.txt", "sub/c.webm", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [clip.name for clip in read_clip_list(tmp_path)] == ["a.MKV", "b.mp4", "sub/c.webm"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.txt", "# nothing\n", "empty"),
        ("l.txt", "a.mp4\na.mp4\n", r"a\.mp4 twice"),
        ("l.csv", "file\na.mp4\n", r"`clip`, .*`sound`"),
        ("l.csv", "clip,x0\na.mp4,0.5\n", r"line 2: .*x0, y0, x1"),
        ("l.csv", "clip,x0,y0,x1,y1\na.mp4,10,20,30,40\n", r"10.*20.*30.*40"),
        ("l.json", "{}", "dict$"),
        ("l.json", "[1]", r"entry 0: .*int$"),
        ("l.json", '[{"sound": "a.wav"}]', r"entry 0: .*`clip`, or `sound`"),
        ("l.json", "[", "line 1: "),
    ],
)
def test_malformed_lists_are_named_with_their_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_clip_list(tmp_path / name)


def test_a_video_in_place_of_a_list_is_reported(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x18ftyp\xff\xfe")
    with pytest.raises(DataError, check=coded("unreadable")):
        read_clip_list(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"\.mp4", check=coded("missing")):
        (tmp_path / "empty").mkdir()
        read_clip_list(tmp_path / "empty")


def test_sound_is_kept_to_16_bit_with_silence_around_it(prepared, material):
    truth, _ = soundfile.read(material.parent / "clip1.wav")
    kept = prepared.sound(1, -100, 3 * RATE + 50)
    assert (kept[:100] == 0).all() and (kept[-50:] == 0).all()
    np.testing.assert_allclose(kept[100:-50], truth, atol=1 / 32767)
    np.testing.assert_array_equal(prepared.sound(1, 5000, 5010), kept[5100:5110])


def test_patches_are_what_is_in_the_box(prepared):
    for number, clip in enumerate(prepared.clips):
        box = prepared.box(number, 0.0, 1.0)
        assert (box.x0, box.y0, box.x1, box.y1) == BOXES[number]
        patch = prepared.patch(number, 1.0, box)
        assert patch.shape[:2] == prepared.patch_size(number, box) == clip.part_size
        assert np.abs(patch.astype(int) - COLOURS[number]).max() < 12  # JPEG


def test_the_picture_nearest_to_the_time_is_shown(tmp_path):
    frames = [np.full((60, 120, 3), 8 * number, np.uint8) for number in range(20)]
    sound = np.stack([np.random.default_rng(0).standard_normal(2 * RATE) * 0.1] * 2)
    write_clip(tmp_path, "a", frames, 10, sound, RATE, quality=5)
    prepared = prepare_mono_clips(read_clip_list(tmp_path / "videos"), tmp_path / "clips", boxes="whole-frame")
    whole = prepared.box(0, 0.0, 1.0)
    for time_s, number in [(0.0, 0), (0.5, 5), (1.04, 10), (1.06, 11), (99.0, 19)]:
        assert abs(int(prepared.patch(0, time_s, whole).mean()) - 8 * number) <= 3


def test_stereo_at_another_rate_becomes_mono_at_16_khz(tmp_path):
    time = np.arange(48000) / 48000
    tone = 0.2 * np.sin(2 * np.pi * 440 * time)
    frames = [np.full((60, 120, 3), 90, np.uint8)] * 10
    write_clip(tmp_path, "a", frames, 10, np.stack([1.5 * tone, 0.5 * tone]), 48000)
    prepared = prepare_mono_clips(read_clip_list(tmp_path / "videos"), tmp_path / "clips", boxes="whole-frame")
    sound = prepared.sound(0, 2000, 14000)
    times = np.arange(2000, 14000) / RATE
    assert np.corrcoef(sound, np.sin(2 * np.pi * 440 * times))[0, 1] > 0.999
    assert np.sqrt(2 * np.mean(sound**2)) == pytest.approx(0.2, rel=0.02)


def test_boxes_of_a_file_are_used_and_a_box_in_the_list_comes_first(material, tmp_path):
    entries = json.loads(material.read_text())[:3]
    for entry in entries[:2]:
        del entry["box"]
    listed = material.parent / "two_without.json"
    listed.write_text(json.dumps(entries))
    (tmp_path / "boxes.csv").write_text("clip,x0,y0,x1,y1\nclip0.wav,0.25,0.2,0.5,0.9\nclip2.wav,0,0,1,1\n")
    prepared = prepare_mono_clips(read_clip_list(listed), tmp_path / "clips", read_boxes(tmp_path / "boxes.csv"))
    assert [clip.name for clip in prepared.clips] == ["clip0.wav", "clip2.wav"]
    assert np.abs(prepared.patch(0, 0.0, prepared.box(0, 0, 1)).astype(int) - COLOURS[0]).max() < 12
    assert prepared.clips[1].boxes[0].x0 == BOXES[2][0]
    assert [(one.name, one.why[:21]) for one in prepared.left_out] == [("clip1.wav", "no box of its source;")]


def test_moving_boxes_keep_the_part_that_they_cover(material, tmp_path):
    def finder(clip):
        return [Box(0.1 * t, 0.2, 0.1 * t + 0.3, 0.9, time_s=float(t)) for t in range(3)]

    entries = [{"sound": "clip0.wav", "picture": "clip0"}]
    (material.parent / "one.json").write_text(json.dumps(entries))
    prepared = prepare_mono_clips(read_clip_list(material.parent / "one.json"), tmp_path / "clips", finder)
    assert prepared.clips[0].part == pytest.approx((0.0, 0.2, 0.5, 0.9))
    patch = prepared.patch(0, 2.0, prepared.box(0, 1.9, 2.1))
    truth = picture_of(0)[24:108, 48:120]
    assert np.abs(patch.astype(int) - truth).mean() < 8


def test_unusable_clips_are_named_with_their_reason(material, tmp_path):
    folder = tmp_path / "mixed"
    write_clips(folder, count=2)
    soundfile.write(folder / "silent.wav", np.zeros(3 * RATE), RATE)
    soundfile.write(folder / "quiet.wav", np.random.default_rng(0).standard_normal(3 * RATE) * 1e-4, RATE)
    soundfile.write(folder / "short.wav", np.ones(RATE // 10), RATE)
    (folder / "broken.wav").write_bytes(b"RIFFnothing")
    (folder / "none").mkdir()
    rows = ["sound,picture,x0,y0,x1,y1", "clip1.wav,clip1,0,0,1,1"]
    rows += [f"{name}.wav,clip0,0,0,1,1" for name in ("silent", "quiet", "short", "broken", "missing")]
    rows += ["clip0.wav,none,0,0,1,1"]
    (folder / "list.csv").write_text("\n".join(rows))
    prepared = prepare_mono_clips(read_clip_list(folder / "list.csv"), tmp_path / "clips")
    assert [clip.name for clip in prepared.clips] == ["clip1.wav"]
    reasons = {one.name: one.why for one in prepared.left_out}
    assert reasons["silent.wav"].startswith("silent: nowhere louder than digital silence")
    assert "-80 dBFS" in reasons["quiet.wav"]
    assert reasons["short.wav"] == "too short: 0.10 s of 0.63 s"
    assert "no such file" in reasons["missing.wav"] and reasons["clip0.wav"].startswith("no pictures in this folder")
    assert set(reasons) == {"silent.wav", "quiet.wav", "short.wav", "broken.wav", "missing.wav", "clip0.wav"}


def test_no_usable_clip_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "list.txt").write_text("a.mp4\nb.mp4\n")
    with pytest.raises(DataError, match=r"2 clips .*: a\.mp4 and 1 more", check=coded("too-little")):
        prepare_mono_clips(read_clip_list(tmp_path / "list.txt"), tmp_path / "clips", boxes="whole-frame")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.txt"]


def test_prepared_clips_are_taken_as_they_are_until_something_changes(material, tmp_path):
    decoded = []
    clips = read_clip_list(material)

    def prepare(**options):
        decoded.clear()
        return prepare_mono_clips(
            clips, tmp_path / "clips", progress=lambda done, total: decoded.append(done), **options
        )

    first = prepare()
    assert decoded and not (prepare().clips != first.clips or decoded)
    assert prepare(frame_height=60).clips[0].part_size[0] < first.clips[0].part_size[0] and decoded
    assert prepare().digest == first.digest and decoded


def test_workers_copies_open_the_arrays_anew(prepared):
    prepared.sound(0, 0, 10)
    copied = pickle.dumps(prepared)
    assert len(copied) < 20_000  # the sound alone is 570 kB
    np.testing.assert_array_equal(pickle.loads(copied).sound(2, 0, 100), prepared.sound(2, 0, 100))


def test_audible_starts_leave_silence_out(tmp_path):
    sound = np.zeros(4 * RATE)
    sound[2 * RATE : 3 * RATE] = np.random.default_rng(0).standard_normal(RATE) * 0.1
    write_clips(tmp_path, count=1)
    soundfile.write(tmp_path / "clip0.wav", sound, RATE)
    prepared = prepare_mono_clips(read_clip_list(tmp_path / "clips.json"), tmp_path / "clips")
    length = round(0.63 * RATE)
    starts = prepared.audible_starts(0, length)
    loud = [np.sqrt(np.mean(sound[s : s + length] ** 2)) for s in starts]
    assert min(loud) > 0.9e-3
    assert starts.min() == pytest.approx(2 * RATE - length, abs=320)
    assert starts.max() == pytest.approx(3 * RATE, abs=320)


@pytest.mark.parametrize("name", ["sound.int16", "frame_ends.npy"])
def test_damage_is_reported(prepared, tmp_path, name):
    import shutil

    shutil.copytree(prepared.folder, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(DataError, match=name, check=coded("missing")):
        PreparedMonoClips(tmp_path / "copy")
    with pytest.raises(DataError, match=r"clips\.json", check=coded("missing")):
        PreparedMonoClips(Path(tmp_path / "nothing"))


def test_levels_survive(prepared):
    for number, level in enumerate(LEVELS):
        assert np.sqrt(np.mean(prepared.sound(number, 0, 3 * RATE) ** 2)) == pytest.approx(level, rel=0.03)
