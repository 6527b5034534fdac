"""Export of a study as a configuration of webMUSHRA, whose licence does not allow bundling it."""

import base64
import io
from pathlib import Path
from typing import Any

import soundfile
import yaml

from hearsight.files import folder_written_whole
from hearsight.studies.answers import THIRDS
from hearsight.studies.definition import RECORDED
from hearsight.studies.layout import PUBLIC, read_made

_SOUNDS = "resources/hearsight"


def export_webmushra(study: Path, target: Path) -> list[str]:
    """Write a folder for webMUSHRA's `configs`: `STUDY.yaml`, and the sounds as WAV.

    Pages and keys follow its `doc/experimenter.md`. The volume is set with the study's first sound.

    A rating, and a choice with a reference, become a `mushra` page (its paired comparison only asks which of two sounds
    is the reference). A choice without a reference becomes a `likert_multi_stimulus` page, a direction a
    `likert_single_stimulus` page with left, centre and right.

    Returns:
        Differences of webMUSHRA from the study, one sentence each.

    Raises:
        DataError: the folder is not a study.
        HearsightError: the target cannot be written.
    """
    made = read_made(study)
    public, key = made["public"], made["key"]
    notes = ["webMUSHRA has no headphone check and no resuming, and `study analyse` does not read its results"]
    consent = "".join(f"<p>{text}</p>" for text in public["consent"])
    place = f"configs/{_SOUNDS}/{public['id']}"
    pages: list[Any] = [
        {"type": "generic", "id": "consent", "name": public["title"], "content": consent},
        {
            "type": "volume",
            "id": "volume",
            "name": "Set the volume",
            "content": "Set a volume that is comfortable, and do not change it afterwards.",
            "stimulus": f"{place}/{public['parts'][0]['pages'][0]['sounds'][0]}.wav",
            "defaultVolume": 0.5,
        },
    ]
    with folder_written_whole(target) as temporary:
        folder = temporary / _SOUNDS / public["id"]
        folder.mkdir(parents=True)
        for part in public["parts"]:
            name = part["name"]
            if part["page"] == "choice":
                notes.append(f"{name}: each sound is rated, in place of a choice among them")
            if part["answers"] == "half-circle" and part["page"] == "direction":
                notes.append(f"{name}: left, centre and right in place of the half circle")
            if any(page["picture"] is not None for page in part["pages"]):
                notes.append(f"{name}: without the pictures")
            group: list[Any] = ["random"]
            for page in part["pages"]:
                used = {*page["sounds"], *[page["reference"]] * (page["reference"] is not None)}
                for sound in used:
                    samples, rate = soundfile.read(sound_file(study / PUBLIC, sound), dtype="int16")
                    soundfile.write(folder / f"{sound}.wav", samples, rate, subtype="PCM_16")
                group.append(_page(part, page, key[page["id"]]["systems"], place))
            pages.append(group)
        pages.append({"type": "finish", "name": "Thank you", "content": "", "showResults": False, "writeResults": True})
        config = {
            "testname": public["title"],
            "testId": public["id"],
            "bufferSize": 2048,
            "stopOnErrors": True,
            "showButtonPreviousPage": False,
            "remoteService": "service/write.php",
            "pages": pages,
        }
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        (temporary / f"{public['id']}.yaml").write_text(text, encoding="utf-8")
    return notes


def sound_file(public: Path, name: str) -> io.BytesIO:
    """Extract the FLAC file from a sound's script."""
    text = (public / "sounds" / f"{name}.js").read_text(encoding="ascii")
    return io.BytesIO(base64.b64decode(text.split('"')[3]))


def _page(part: dict[str, Any], page: dict[str, Any], systems: dict[str, str], place: str) -> dict[str, Any]:
    """One page of webMUSHRA; its conditions have the systems' names, which listeners do not see."""
    stimuli = {systems[sound]: f"{place}/{sound}.wav" for sound in page["sounds"]}
    common = {"id": page["id"], "name": page["question"], "content": ""}
    if page["reference"] is not None:
        stimuli.pop(RECORDED, None)  # webMUSHRA adds the hidden reference itself
        return {
            "type": "mushra",
            **common,
            "showWaveform": False,
            "enableLooping": True,
            "strict": False,  # its check requires the low-passed anchors
            "reference": f"{place}/{page['reference']}.wav",
            "createAnchor35": False,
            "createAnchor70": False,
            "randomize": True,
            "showConditionNames": False,
            "stimuli": stimuli,
        }
    single = part["page"] == "direction"
    return {
        "type": "likert_single_stimulus" if single else "likert_multi_stimulus",
        **common,
        "mustRate": True,
        "mustPlayback": "ended",
        "stimuli": stimuli,
        "response": [
            {"value": word, "label": word} for word in (THIRDS if single else ("worst", "bad", "fair", "good", "best"))
        ],
    }
