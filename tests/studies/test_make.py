"""What `study make` writes: loudness, order, blindness, traps, and what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from error_codes import coded
from simulated_listener import read_public
from study_material import write_material
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError
from hearsight.media import write_wav
from hearsight.signal.loudness import integrated_loudness
from hearsight.studies import export_webmushra, find_material, make_study, plan, read_made, read_study
from hearsight.studies.definition import Part, Study, preset_names
from hearsight.studies.webmushra import sound_file


def made(folder: Path, material: Path, *parts: Part, **options) -> Path:
    return make_study(Study(list(parts), **options), find_material(material), folder).folder


def samples_of(study: Path, sound: str) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(sound_file(study / "public", sound), dtype="float32", always_2d=True)
    return samples.T.copy(), rate


@pytest.fixture(scope="module")
def pairs(material, tmp_path_factory) -> Path:
    """Pairs with a reference, and traps."""
    part = Part("pairs", "choice", "Which of the {count}?", compare="each", reference="first", items=4, traps=2)
    return made(tmp_path_factory.mktemp("pairs") / "study", material, part, seed=3)


def test_all_sounds_are_equally_loud_and_have_two_ears(pairs):
    import torch

    (part,) = read_public(pairs)["parts"]
    pages = [part["practice"], *part["pages"]]
    sounds = {sound for page in pages for sound in [*page["sounds"], page["reference"]]}
    assert len(sounds) == len(list((pairs / "public" / "sounds").iterdir()))  # nothing is missing, nothing too many
    loudness = []
    for sound in sounds:
        samples, rate = samples_of(pairs, sound)
        assert samples.shape == (2, 16_000) and rate == 16_000 and samples.any(1).all()
        loudness.append(integrated_loudness(torch.from_numpy(samples), rate))
    assert np.ptp(loudness) < 0.05 and loudness[0] == pytest.approx(-23, abs=0.05)


def test_the_page_does_not_learn_which_sound_is_from_which_system(pairs):
    text = "".join(path.read_text() for path in (pairs / "public").glob("*.js")) + "".join(
        path.as_posix() for path in (pairs / "public").rglob("*")
    )
    assert not any(name in text for name in ("Mono2Binaural", "PseudoBinaural", "Recorded", "Swapped", "trap"))
    key = read_made(pairs)["key"]
    assert {system for page in key.values() for system in page["systems"].values()} >= {"Mono-Mono", "Recorded"}


def test_a_trap_is_the_recording_against_its_exchanged_ears(pairs):
    made_, public = read_made(pairs), read_public(pairs)
    traps = [page for page in public["parts"][0]["pages"] if made_["key"][page["id"]]["trap"]]
    assert len(traps) == 2 and all(page["always"] for page in traps)
    for page in traps:
        names = {system: sound for sound, system in made_["key"][page["id"]]["systems"].items()}
        right, wrong = (samples_of(pairs, names[name])[0] for name in ("Recorded", "Swapped ears"))
        np.testing.assert_allclose(right, wrong[::-1], atol=2 / 32767)
        power = np.square(right).mean(1)
        assert abs(10 * np.log10(power[0] / power[1])) > 1.5 and page["reference"] == names["Recorded"]


def test_mono_and_recorded_of_a_rating_are_what_they_are_called(material, tmp_path):
    study = made(tmp_path / "study", material, Part("rating", "rating", "How close?", items=1), practice=False)
    (page,) = read_public(study)["parts"][0]["pages"]
    names = {system: sound for sound, system in read_made(study)["key"][page["id"]]["systems"].items()}
    assert set(names) == {"Mono-Mono", "Mono2Binaural", "PseudoBinaural", "Recorded", "Mono anchor", "Swapped ears"}
    mono, recorded = samples_of(study, names["Mono anchor"])[0], samples_of(study, names["Recorded"])[0]
    np.testing.assert_array_equal(mono[0], mono[1])
    assert np.corrcoef(mono[0], recorded.sum(0))[0, 1] > 0.9999
    assert page["reference"] == names["Recorded"]


def test_the_same_seed_gives_the_same_study_and_another_one_other_items(material, tmp_path):
    part = Part("direction", "direction", "Where is the {instrument}?", recorded=True, items=6)
    first, again, other = (
        made(tmp_path / name, material, part, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    files = [{path.name: path.read_bytes() for path in study.rglob("*.js*")} for study in (first, again, other)]
    assert files[0] == files[1] and files[0]["study.json"] != files[2]["study.json"]
    directions = [page["direction"] for page in read_made(first)["key"].values() if not page["practice"]]
    assert {third: directions.count(third) for third in set(directions)} == {"left": 8, "centre": 8, "right": 8}
    assert all(page["instrument"] in ("trumpet", "cello", "harp") for page in read_made(first)["key"].values())


def test_orders_are_complete_differ_between_listeners_and_keep_to_the_number_of_pages(pairs):
    study = read_public(pairs)
    orders = [plan(study, seed) for seed in range(200)]
    pages = {page["id"]: page["sounds"] for page in study["parts"][0]["pages"]}
    for order in orders:
        counted = [entry for entry in order if entry[0] in pages]
        assert len(order) == 1 + len(counted) and sorted(page for page, _ in counted) == sorted(pages)
        assert all(sorted(sounds) == pages[page] for page, sounds in counted)
    first_pages = [order[1][0] for order in orders]
    assert all(8 <= first_pages.count(page) <= 40 for page in pages)  # 20 expected of 200
    left = sum(order[1][1] == sorted(order[1][1]) for order in orders)
    assert 75 < left < 125
    study["parts"][0]["per_listener"] = 3
    assert all(len(plan(study, seed)) == 1 + 3 + 2 for seed in range(5))  # practice, three pages, two traps


def test_sounds_of_other_rates_are_brought_to_the_lowest(tmp_path):
    folder = write_material(tmp_path / "material", {"A": 0.0, "B": 1.0}, clips=1)
    times = np.arange(48_000) / 48_000
    tones = 0.1 * (np.sin(2 * np.pi * 1000 * times) + np.sin(2 * np.pi * 12_000 * times))
    write_wav(folder / "A" / "000001.wav", np.stack([tones, tones]).astype(np.float32), 48_000)
    study = made(tmp_path / "study", folder, Part("pair", "choice", "Which?", items=1), practice=False)
    (page,) = read_made(study)["key"].values()
    sound = next(sound for sound, system in page["systems"].items() if system == "A")
    samples, rate = samples_of(study, sound)
    spectrum = np.abs(np.fft.rfft(samples[0] * np.hanning(16_000)))
    assert rate == 16_000 and spectrum.argmax() == 1000 and spectrum[4000:].max() < 1e-3 * spectrum.max()


def test_every_preset_can_be_made(seen_material, tmp_path):
    assert preset_names() == ["2.5d-visual-sound", "mushra", "pseudobinaural", "sep-stereo"]
    pages = {}
    for name in preset_names():
        result = make_study(read_study(name), find_material(seen_material), tmp_path / name)
        pages[name] = [len(part["pages"]) for part in read_public(result.folder)["parts"]]
        assert any("3 clips have all that it needs" in note for note in result.notes)
        pictures = {path.suffix for path in (result.folder / "public" / "pictures").iterdir()}
        assert pictures <= {".mp4", ".jpg"}
    traps = 2  # of three clips two are not ahead
    assert pages == {
        "2.5d-visual-sound": [3 + traps, 3 * 3],
        "mushra": [3],
        "pseudobinaural": [3 + traps, 3 * 3, 3 + traps],
        "sep-stereo": [3 + traps, 3 + traps],
    }


def test_a_table_of_directions_takes_the_place_of_scenes(material, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "directions.csv").write_text("clip,instrument,direction\n000001,oboe,Right\n000002,harp,center\n")
    part = Part("direction", "direction", "Where is the {instrument}?", items=2)
    study = make_study(Study([part], practice=False), find_material(material, tmp_path), tmp_path / "study").folder
    found = {(page["instrument"], page["direction"]) for page in read_made(study)["key"].values()}
    assert found == {("oboe", "right"), ("harp", "centre")}


def test_without_recordings_nothing_is_screened_by_them_and_that_is_said(material, tmp_path):
    for system in ("Mono-Mono", "PseudoBinaural"):
        shutil.copytree(material / system, tmp_path / "folder" / system)
    shutil.copytree(material / "scenes", tmp_path / "folder" / "scenes")
    part = Part("direction", "direction", "Where is the {instrument}?", recorded=True, items=2)
    result = make_study(Study([part], practice=False), find_material(tmp_path / "folder"), tmp_path / "study")
    assert result.notes == ["direction: there are no recorded ears, so no page screens listeners by them"]
    systems = [system for page in read_made(result.folder)["key"].values() for system in page["systems"].values()]
    assert sorted(systems) == ["Mono-Mono"] * 2 + ["PseudoBinaural"] * 2
    with pytest.raises(DataError, check=coded("missing")):
        made(tmp_path / "other", tmp_path / "folder", Part("rating", "rating", "How close?"))


def test_webmushra_gets_pages_whose_files_exist(material, tmp_path):
    study = make_study(
        Study(
            [
                Part("rating", "rating", "How close?", items=1),
                Part("pairs", "choice", "Which?", reference="first", items=1),
                Part("best", "choice", "Which?", items=1),
                Part("direction", "direction", "Where is the {instrument}?", items=1, answers="half-circle"),
            ]
        ),
        find_material(material),
        tmp_path / "study",
    ).folder
    notes = export_webmushra(study, tmp_path / "configs")
    assert sum("half circle" in note for note in notes) == 1
    (path,) = (tmp_path / "configs").glob("*.yaml")
    config = yaml.safe_load(path.read_text())
    groups = [page for page in config["pages"] if isinstance(page, list)]
    assert config["pages"][-1]["type"] == "finish" and all(group[0] == "random" for group in groups)
    types = [[page["type"] for page in group[1:]] for group in groups]
    assert types == [["mushra"], ["mushra"], ["likert_multi_stimulus"], ["likert_single_stimulus"] * 3]
    for group in groups:
        for page in group[1:]:
            for file in [*page["stimuli"].values(), *([page["reference"]] if "reference" in page else [])]:
                samples, rate = soundfile.read(tmp_path / file)
                assert samples.shape == (16_000, 2) and rate == 16_000
    assert "Recorded" not in groups[0][1]["stimuli"]  # webMUSHRA adds the reference itself
    follows_webmushra_documentation(config, tmp_path)


LIKERT = {"type", "id", "name", "mustRate", "mustPlayback", "stimuli", "response"}
DOCUMENTED = {  # the options of each page in webMUSHRA's doc/experimenter.md
    "generic": {"type", "id", "name", "content"},
    "volume": {"type", "id", "name", "content", "stimulus", "defaultVolume"},
    "mushra": {
        "type", "id", "name", "content", "showWaveform", "enableLooping", "strict", "reference", "createAnchor35",
        "createAnchor70", "randomize", "showConditionNames", "stimuli",
    },
    # Of these the content is not documented, but shown; without it they show "undefined".
    "likert_multi_stimulus": {*LIKERT, "content"},
    "likert_single_stimulus": {*LIKERT, "content"},
    "finish": {"type", "name", "content", "showResults", "writeResults"},
}  # fmt: skip
YES_OR_NO = {
    "showWaveform", "enableLooping", "strict", "createAnchor35", "createAnchor70", "randomize", "showConditionNames",
    "mustRate", "showResults", "writeResults",
}  # fmt: skip


def follows_webmushra_documentation(config, root):
    """Check a configuration, whose paths are relative to webMUSHRA's folder, by what its documentation says."""
    assert set(config) == {
        "testname", "testId", "bufferSize", "stopOnErrors", "showButtonPreviousPage", "remoteService", "pages",
    }  # fmt: skip
    assert config["bufferSize"] in (256, 512, 1024, 2048, 4096, 8192, 16384)
    pages = [page for entry in config["pages"] for page in (entry[1:] if isinstance(entry, list) else [entry])]
    assert pages[-1]["type"] == "finish" and all(page["type"] != "finish" for page in pages[:-1])
    identifiers = [page["id"] for page in pages[:-1]]
    assert len(set(identifiers)) == len(identifiers)
    for page in pages:
        assert set(page) == DOCUMENTED[page["type"]]
        assert all(isinstance(page[name], bool) for name in YES_OR_NO & set(page))
        assert all(isinstance(page[name], str) for name in {"id", "name", "content"} & set(page))
        assert page.get("mustPlayback", "ended") in ("ended", "processUpdate")
        assert all(set(point) <= {"value", "label"} for point in page.get("response", []))
        files = [page[name] for name in ("reference", "stimulus") if name in page] + [*page.get("stimuli", {}).values()]
        assert all(file.startswith("configs/") and (root / file).is_file() for file in files)
        assert 0 <= page.get("defaultVolume", 0) <= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parts: []", "parts"),
        ("parts: [{name: a, page: quiz, question: q}]", "choice, direction, rating"),
        ("parts: [{name: a, page: choice, question: q, items: 0}]", r"items: .* 1, .* 0"),
        ("parts: [{name: a, page: choice, question: q, traps: 2}]", "traps"),
        ("parts: [{name: a, page: choice, question: q, colour: red}]", "'colour'"),
        ("parts: [", "YAML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_place(tmp_path, text, words):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(DataError, match=words) as error:
        read_study(str(tmp_path / "study.yaml"))
    assert "study.yaml" in str(error.value)


def test_what_cannot_be_made_is_refused_and_leaves_nothing(material, tmp_path):
    with pytest.raises(DataError, match="known:", check=coded("unknown")):
        read_study("pseudobinural")
    with pytest.raises(DataError, match="preference, direction, ablation", check=coded("unknown")):
        read_study("pseudobinaural:taste")
    with pytest.raises(DataError, match=r"SYSTEM/CLIP\.wav", check=coded("missing")):
        find_material(tmp_path)
    with pytest.raises(DataError, match="12 clips", check=coded("missing")):
        made(tmp_path / "study", material, Part("a", "choice", "Which?", picture="video"))
    with pytest.raises(DataError, match="'Best'", check=coded("unknown")):
        made(tmp_path / "study", material, Part("a", "choice", "Which?", systems=["Best"]))
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "Recorded").symlink_to(material / "PseudoBinaural")
    (tmp_path / "named" / "B").symlink_to(material / "Mono-Mono")
    with pytest.raises(DataError, match="'Recorded'", check=coded("invalid")):
        made(tmp_path / "study", tmp_path / "named", Part("a", "choice", "Which?"))
    silent = write_material(tmp_path / "silent", {"A": 0.0, "B": 1.0}, clips=1)
    write_wav(silent / "A" / "000001.wav", np.zeros((2, 16_000), np.float32), 16_000)
    with pytest.raises(DataError, match=r"^000001, A:", check=coded("too-little")):
        made(tmp_path / "study", silent, Part("a", "choice", "Which?"))
    write_wav(silent / "A" / "000001.wav", np.full((2, 8_000), 0.1, np.float32), 16_000)
    with pytest.raises(DataError, check=coded("mismatch")):
        made(tmp_path / "study", silent, Part("a", "choice", "Which?"))
    assert not (tmp_path / "study").exists()


def test_a_study_with_answers_is_not_overwritten(material, tmp_path):
    study = made(tmp_path / "study", material, Part("a", "choice", "Which?", items=1))
    (study / "answers.jsonl").write_text("{}\n")
    with pytest.raises(DataError, check=coded("occupied")):
        made(study, material, Part("a", "choice", "Which?", items=1))
    assert (study / "answers.jsonl").read_text() == "{}\n" and json.loads((study / "study.json").read_text())


def test_the_command_makes_a_study_and_says_what_to_do_with_it(material, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, ["study", *map(str, arguments)])

    study = tmp_path / "study"
    made_ = run("make", material, "-o", study, "--preset", "pseudobinaural:direction", "--items", 3, "--seed", 8,
                "--system", "Mono-Mono", "--system", "PseudoBinaural", "--contact", "ada@example.org")  # fmt: skip
    assert made_.exit_code == 0 and "9 pages for each listener" in made_.stdout and "study serve" in made_.stdout
    public = read_public(study)
    assert public["contact"] == "ada@example.org" and public["seed"] == 8
    (part,) = public["parts"]
    assert len(part["pages"]) == 3 * 3 and all("Where do you hear the" in page["question"] for page in part["pages"])
    nobody = run("analyse", study)
    assert nobody.exit_code == 1 and "answers.jsonl: no such file" in nobody.stderr
    assert len(nobody.stderr.splitlines()) == 1
    assert run("serve", tmp_path).exit_code == 1 and run("make", material).exit_code == 2
