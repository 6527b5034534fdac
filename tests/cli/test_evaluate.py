"""`hearsight evaluate` on files and folders, good and bad."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from hearsight.cli.main import app

DATA = Path(__file__).parent.parent / "metrics" / "data"
STORED = json.loads((DATA / "published_values.json").read_text())
PUBLISHED = STORED["values"]


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def write(path: Path, samples: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, rate, subtype=subtype)
    return path


def noise(seconds: float = 0.3, rate: int = 16_000, channels: int = 2, seed: int = 0) -> np.ndarray:
    signal = np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    return (0.1 * signal).astype(np.float32)


@pytest.fixture
def folders(tmp_path):
    """Three clips, predicted as their own mono."""
    for index in range(3):
        truth = noise(seconds=0.2 + 0.1 * index, seed=index)
        write(tmp_path / "true" / f"{index:06}.wav", truth)
        write(tmp_path / "predicted" / f"{index:06}.wav", np.tile(truth.mean(0), (2, 1)))
    return tmp_path / "true", tmp_path / "predicted"


@pytest.mark.parametrize("signal", PUBLISHED)
@pytest.mark.parametrize(("level", "protocol"), [("peak_normalized", "released-pseudobinaural"), ("as_is", "plain")])
def test_values_of_the_released_scripts_are_met_to_six_digits_from_wav_files(tmp_path, signal, level, protocol):
    with np.load(DATA / "published_signals.npz") as stored:
        reference, predicted = stored["reference"], stored["predicted"]
    signals = {
        "predicted": predicted,
        "mono_mono": np.tile(reference.mean(0), (2, 1)),
        "swapped": reference[::-1],
        "identical": reference,
    }
    true = write(tmp_path / "true.wav", reference)
    result = run(
        true,
        write(tmp_path / "predicted.wav", signals[signal]),
        "--protocol",
        protocol,
        "--json",
        "--padding",
        STORED["padding"],
    )
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["clips"] == 1 and len(printed["per_clip"]) == 1
    assert list(printed["metrics"]) == ["stft", "env", "mag", "mag_released", "difference_phase", "snr_db", "wav"]
    for metric, value in PUBLISHED[signal][level].items():
        assert printed["metrics"][metric] == pytest.approx(value, rel=5e-7, abs=1e-9), metric


def test_folders_are_matched_by_name_and_averaged_over_clips(folders):
    result = run(*folders, "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["clips"] == 3 and "problems" not in printed
    assert [row["name"] for row in printed["per_clip"]] == ["000000", "000001", "000002"]
    assert [row["duration_s"] for row in printed["per_clip"]] == pytest.approx([0.2, 0.3, 0.4])
    for metric, mean in printed["metrics"].items():
        assert mean == pytest.approx(np.mean([row[metric] for row in printed["per_clip"]]))
    assert printed["metrics"]["difference_phase"] == pytest.approx(math.pi / 2, abs=0.1)


def test_means_come_with_standard_errors_intervals_and_spatial_measures(folders):
    from hearsight.evaluation.measures import ClipMeasures
    from hearsight.evaluation.protocols import protocol

    printed = json.loads(run(*folders, "--json").stdout)
    values = np.array([row["stft"] for row in printed["per_clip"]])
    assert printed["standard_error"]["stft"] == pytest.approx(values.std(ddof=1) / math.sqrt(3))
    low, high = printed["interval_95"]["stft"]
    assert values.min() <= low < printed["metrics"]["stft"] < high <= values.max()
    true, predicted = (soundfile.read(folder / "000001.wav", dtype="float32")[0].T for folder in folders)
    expected = ClipMeasures(protocol("released-pseudobinaural")).measure(*map(torch.from_numpy, (predicted, true)))
    assert {name: expected[name] for name in ("itd_us", "lateral_deg", "spatial_db")} == pytest.approx(
        {name: printed["per_clip"][1][name] for name in ("itd_us", "lateral_deg", "spatial_db")}
    )
    assert printed["spatial"]["ild_db"] == pytest.approx(np.mean([row["ild_db"] for row in printed["per_clip"]]))


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    from hearsight.evaluation.comparison import mean_over_clips

    generator = np.random.default_rng(1)
    covered = [
        low <= 3.0 <= high for low, high in (mean_over_clips(generator.normal(3, 1, 40)).interval_95 for _ in range(60))
    ]
    assert 0.85 <= np.mean(covered) <= 1
    single = mean_over_clips([2.0])
    assert single.mean == 2.0 and single.standard_error is None and single.interval_95 is None


def test_predictions_of_binauralize_and_of_the_authors_scripts_are_paired(folders, tmp_path):
    true, predicted = folders
    expected = json.loads(run(true, predicted, "--json").stdout)["metrics"]
    for index in range(3):
        name = f"{index:06}"
        theirs = tmp_path / "theirs" / name
        write(theirs / "mixed_mono.wav", noise(channels=1))
        write(theirs / "input_binaural.wav", soundfile.read(true / f"{name}.wav")[0].T)
        write(theirs / "predicted_binaural.wav", soundfile.read(predicted / f"{name}.wav")[0].T)
        write(tmp_path / "ours" / f"{name}.binaural.wav", soundfile.read(predicted / f"{name}.wav")[0].T)
    for reference, prediction in [
        (true, tmp_path / "theirs"), (tmp_path / "theirs", tmp_path / "theirs"), (true, tmp_path / "ours"),
    ]:  # fmt: skip
        result = run(reference, prediction, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["metrics"] == pytest.approx(expected)
    write(tmp_path / "ours" / "000000.wav", noise())
    assert "000000: is twice in" in run(true, tmp_path / "ours").stderr


def test_a_list_of_a_split_chooses_the_clips(folders, tmp_path):
    true, predicted = folders
    (predicted / "000002.wav").unlink()
    listed = tmp_path / "test.txt"
    listed.write_text("/authors/FAIR-Play/binaural_audios/000000.wav\n000001\n")
    result = run(true, predicted, "--json", "--list", listed)
    assert result.exit_code == 0, result.stderr
    assert [row["name"] for row in json.loads(result.stdout)["per_clip"]] == ["000000", "000001"]
    listed.write_text("000000\n000002\n")
    result = run(true, predicted, "--json", "--list", listed)
    assert result.exit_code == 1 and "000002: has no prediction" in result.stderr
    assert run(true / "000000.wav", predicted / "000000.wav", "--list", listed).exit_code == 1


def test_padding_is_chosen_and_named(folders):
    reflected, zeros = (
        json.loads(run(*folders, "--json", "--padding", padding).stdout)["metrics"] for padding in ("reflect", "zeros")
    )
    assert reflected["stft"] > zeros["stft"] and reflected["env"] == zeros["env"]
    assert "zero padding" in run(*folders, "--padding", "zeros").stdout
    assert "known: reflect, zeros" in run(*folders, "--padding", "mirror").stderr


def test_the_table_for_people_names_every_metric_and_quiet_prints_nothing(folders):
    result = run(*folders)
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("3 clips", "stft", "env", "difference_phase", "snr_db"))
    assert run(*folders, "--quiet").output == ""


def test_the_table_cuts_no_name_or_number_off(tmp_path):
    ears = write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, (2, 16_000)).astype(np.float32))
    result = run(ears, ears)  # the numbers are wider than usual: 20 dB and more
    assert result.exit_code == 0, result.stderr
    assert "\N{HORIZONTAL ELLIPSIS}" not in result.stdout


def test_the_file_at_fault_is_named_once(tmp_path):
    ears = write(tmp_path / "a.wav", np.zeros((2, 16_000), np.float32) + 0.1)
    mono = write(tmp_path / "b.wav", np.zeros((1, 16_000), np.float32) + 0.1)
    first = run(ears, mono).stderr.splitlines()[0]
    assert first.count("b.wav") == 1 and "two ears are needed" in first


def test_files_of_different_rates_and_formats_are_compared(tmp_path):
    time = np.arange(48_000) / 48_000
    slow = np.arange(16_000) / 16_000
    tones = [np.stack([np.sin(2 * math.pi * 300 * t), 0.5 * np.sin(2 * math.pi * 500 * t)]) * 0.5 for t in (time, slow)]
    true = write(tmp_path / "true.flac", tones[0], 48_000, "PCM_24")
    predicted = write(tmp_path / "predicted.wav", tones[1], 16_000)
    printed = json.loads(run(true, predicted, "--json", "--protocol", "plain").stdout)
    assert printed["per_clip"][0]["sample_rate_hz"] == 48_000
    assert printed["metrics"]["wav"] < 1e-5
    assert printed["metrics"]["snr_db"] > 25


def test_the_sound_of_a_video_is_measured(tmp_path):
    import av

    truth = noise(1.0, 48_000)
    with av.open(str(tmp_path / "predicted.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        pcm = np.ascontiguousarray(np.round(truth.T * 32_767).astype(np.int16)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    true = write(tmp_path / "true.wav", truth, 48_000)
    result = run(true, tmp_path / "predicted.mkv", "--json", "--protocol", "plain")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["metrics"]["wav"] < 1e-8


def spoil_missing(true, predicted):
    (predicted / "000001.wav").unlink()
    return "000001: has no prediction in"


def spoil_extra(true, predicted):
    write(predicted / "999999.wav", noise())
    return "999999: has no reference in"


def spoil_unreadable(true, predicted):
    (predicted / "000001.wav").write_bytes(b"this is no sound at all")
    return "000001.wav: cannot be read as sound"


def spoil_empty(true, predicted):
    (predicted / "000001.wav").write_bytes(b"")
    return "000001.wav: the file is empty"


def spoil_no_samples(true, predicted):
    write(true / "000001.wav", np.zeros((2, 0), np.float32))
    return "000001.wav: holds no samples"


def spoil_length(true, predicted):
    write(predicted / "000001.wav", noise(0.31))
    return "000001: the reference lasts 0.3000 s, the prediction 0.3100 s"


def spoil_channels(true, predicted):
    write(predicted / "000001.wav", noise(0.3, channels=1))
    return "000001.wav: has 1 channel(s); two ears are needed"


def spoil_values(true, predicted):
    signal = noise(0.3)
    signal[0, 5] = np.nan
    write(predicted / "000001.wav", signal)
    return "000001.wav: holds values that are not finite numbers"


def spoil_twice(true, predicted):
    write(true / "000001.flac", noise(0.3), subtype="PCM_16")
    return "000001: is twice in"


def spoil_video(true, predicted):
    (predicted / "000001.wav").rename(predicted / "000001.mp4")
    (predicted / "000001.mp4").write_bytes(b"no video either, but some bytes")
    return "000001.mp4: not a video"


SPOILERS = [value for name, value in sorted(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_a_bad_clip_is_named_no_mean_is_printed_and_the_exit_code_says_so(folders, spoil):
    line = spoil(*folders)
    result = run(*folders, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert line in result.stderr and "could not be measured" in result.stderr


@pytest.mark.parametrize("spoil", [spoil_unreadable, spoil_missing], ids=lambda spoil: spoil.__name__)
def test_partial_measures_the_others_names_the_bad_and_still_fails(folders, spoil):
    line = spoil(*folders)
    result = run(*folders, "--json", "--partial")
    assert result.exit_code == 1 and line in result.stderr
    printed = json.loads(result.stdout)
    assert printed["clips"] == 2 and len(printed["problems"]) == 1


def test_wrong_paths_and_protocols_are_one_line(tmp_path, folders):
    true, predicted = folders
    (tmp_path / "bare").mkdir()
    for arguments, line in [
        ((tmp_path / "nowhere", predicted), "nowhere: no such file or folder"),
        ((true, predicted / "000000.wav"), "is a folder and"),
        ((true, tmp_path / "bare"), "bare: holds no sound or video file"),
        ((true, predicted, "--protocol", "2.5d"), "unknown protocol '2.5d'; known: released-2.5d"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1 and result.stdout == ""
        assert line in result.stderr.replace("\n", " ") and len(result.stderr.splitlines()) == 1
