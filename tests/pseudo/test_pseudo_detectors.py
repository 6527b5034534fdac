"""Detectors of transformers, with small random weights: the real code, no download."""

import json

import numpy as np
import pytest
import torch
from error_codes import coded
from pseudo_material import write_clips

from hearsight.errors import DataError, DependencyError, HearsightError, ModelError
from hearsight.pseudo.boxes import read_boxes
from hearsight.pseudo.detectors import SourceDetector
from hearsight.pseudo.mono_clips import MonoClip, read_clip_list
from hearsight.pseudo.prepared_mono_clips import prepare_mono_clips

PICTURES = [np.random.default_rng(seed).integers(0, 255, (90, 160, 3), dtype=np.uint8) for seed in range(5)]


@pytest.fixture(scope="module")
def closed_set(tmp_path_factory):
    """A YOLOS whose classes are all likely."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("yolos")
    names = {0: "person", 1: "Cello", 2: "chair"}
    config = YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=[64, 96],
        patch_size=16,
        num_detection_tokens=6,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    model = YolosForObjectDetection(config)
    with torch.no_grad():  # random tokens, so that boxes and classes differ from token to token
        model.vit.embeddings.detection_tokens.normal_(0, 2)
        for layer in model.bbox_predictor.layers:
            layer.weight.normal_(0, 0.4)
        for layer in model.class_labels_classifier.layers:
            layer.weight.normal_(0, 0.4)
    model.save_pretrained(folder)
    YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def open_vocabulary(tmp_path_factory):
    """An OWLv2 that spells its texts."""
    from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("owlv2")
    pieces = ["!", "<|startoftext|>", "<|endoftext|>"]
    pieces += [letter + end for letter in "abcdefghijklmnopqrstuvwxyz" for end in ("", "</w>")]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    Owlv2Processor(Owlv2ImageProcessor(size={"height": 64, "width": 64}), tokenizer).save_pretrained(folder)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(pieces), "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
    config = Owlv2Config(
        text_config={**small, **text, "pad_token_id": 0},
        vision_config={**small, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    model = Owlv2ForObjectDetection(config)
    with torch.no_grad():  # random boxes are lines or points; these stay near the grid's cells
        model.box_head.dense2.weight.mul_(0.01)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def grounding(tmp_path_factory):
    """A Grounding DINO that knows a few words."""
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("grounding")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "a", "person", "playing", "cello", "drum"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=16)
    processor = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(processor, tokenizer).save_pretrained(folder)
    swin = SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    bert = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_queries=8,
        max_text_len=16,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder


def as_pixels(box, width=160, height=90):
    return [box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height]


def test_closed_set_boxes_are_those_of_the_model(closed_set):
    """Against the forward pass done by hand: sigmoid boxes from centres, the best class but `no object`."""
    from transformers import AutoModelForObjectDetection, YolosImageProcessor

    detector = SourceDetector(str(closed_set), classes=("person", "cello", "chair"), threshold=0.0)
    assert not detector.open_vocabulary
    (boxes,) = detector.detect(PICTURES[:1], "ignored")
    model = AutoModelForObjectDetection.from_pretrained(closed_set).eval()
    with torch.inference_mode():
        out = model(**YolosImageProcessor.from_pretrained(closed_set)(images=PICTURES[0], return_tensors="pt"))
    scores, classes = out.logits[0].softmax(-1)[:, :-1].max(-1)
    order = scores.argsort(descending=True)
    assert len(boxes) == 6 and len({box.label for box in boxes}) > 1
    for box, query in zip(boxes, order.tolist(), strict=True):
        x, y, width, height = out.pred_boxes[0, query].tolist()
        truth = np.clip([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 0, 1)
        np.testing.assert_allclose([box.x0, box.y0, box.x1, box.y1], truth, atol=1e-4)
        assert box.score == pytest.approx(float(scores[query]), abs=1e-5)
        assert box.label == model.config.id2label[int(classes[query])]


def test_only_the_asked_classes_and_scores_are_kept(closed_set):
    everything = SourceDetector(str(closed_set), classes=("person", "cello", "chair"), threshold=0.0)
    some = SourceDetector(str(closed_set), classes=("cello",), threshold=0.3)
    all_boxes, kept = everything.detect(PICTURES, ""), some.detect(PICTURES, "")
    assert sum(map(len, kept)) < sum(map(len, all_boxes))
    for before, after in zip(all_boxes, kept, strict=True):
        assert after == [box for box in before if box.label == "Cello" and box.score > 0.3]


def test_open_vocabulary_boxes_depend_on_the_text(open_vocabulary):
    detector = SourceDetector(str(open_vocabulary), threshold=0.0)
    assert detector.open_vocabulary
    cello, drum = (detector.detect(PICTURES[:1], text)[0] for text in ("a person playing a cello", "drum"))
    assert cello and {box.label for box in cello} == {"a person playing a cello"}
    assert [box.score for box in cello] == sorted((box.score for box in cello), reverse=True)
    assert [box.score for box in cello] != [box.score for box in drum]
    again = detector.detect(PICTURES[:1], "a person playing a cello")[0]
    assert cello == again


@pytest.mark.parametrize("detector", ["closed_set", "open_vocabulary", "grounding"])
def test_a_batch_finds_what_single_pictures_do(detector, request):
    folder = request.getfixturevalue(detector)
    detector = SourceDetector(str(folder), classes=("person", "cello", "chair"), threshold=0.0)
    together = detector.detect(PICTURES, "a flute")
    for picture, boxes in zip(PICTURES, together, strict=True):
        (alone,) = detector.detect([picture], "a flute")
        assert len(alone) == len(boxes) > 0
        for one, other in zip(alone, boxes, strict=True):
            np.testing.assert_allclose(as_pixels(one), as_pixels(other), atol=0.05)


def test_grounding_dino_is_asked_in_its_own_way(grounding):
    """Lower case and a full stop; the score is that of the best token, as its paper says."""
    detector = SourceDetector(str(grounding), threshold=0.0)
    assert detector.open_vocabulary
    (plain,) = detector.detect(PICTURES[:1], "a person playing a cello")
    (shouted,) = detector.detect(PICTURES[:1], "A Person Playing A Cello.")
    (other,) = detector.detect(PICTURES[:1], "a drum")
    assert [box.score for box in plain] == [box.score for box in shouted] != [box.score for box in other]
    assert 0 < len(plain) <= 8


def test_boxes_of_a_clip_are_kept_beside_it(open_vocabulary, tmp_path):
    clip = read_clip_list(write_clips(tmp_path, count=1))[0]
    clip = MonoClip(clip.name, clip.picture, clip.sound, "cello")
    detector = SourceDetector(str(open_vocabulary), threshold=0.0, rate_hz=2.0, batch=4)
    calls = []
    original = detector.detect
    detector.detect = lambda pictures, text: calls.append((len(pictures), text)) or original(pictures, text)
    first = detector(clip)
    assert calls == [(4, "a person playing a cello"), (2, "a person playing a cello")]
    assert sorted({box.time_s for box in first}) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert detector(clip) == first and len(calls) == 2  # from beside the clip
    kept = tmp_path / "clip0.boxes.json"
    assert read_boxes(kept).of("clip0", (120, 240), 10.0) == first
    # Another text, another threshold, another picture, a damaged file: found anew.
    assert detector(MonoClip(clip.name, clip.picture, clip.sound, "flute")) != first and len(calls) == 4
    (clip.picture / "0000.png").write_bytes((clip.picture / "0001.png").read_bytes() + b"\0")
    detector(clip)
    kept.write_text("{")
    detector(clip)
    assert len(calls) == 8


def test_a_folder_that_cannot_be_written_costs_only_the_cache(closed_set, tmp_path, monkeypatch):
    import hearsight.pseudo.detectors as module

    def refuse(path, value):
        raise HearsightError(f"{path}: no permission to write")

    monkeypatch.setattr(module, "write_json", refuse)
    clip = read_clip_list(write_clips(tmp_path, count=1))[0]
    detector = SourceDetector(str(closed_set), classes=("person", "cello", "chair"), threshold=0.0)
    with pytest.warns(UserWarning, match=r"^boxes"):
        assert detector(clip)


def test_clips_are_prepared_with_a_detectors_boxes(closed_set, tmp_path):
    clips = [MonoClip(c.name, c.picture, c.sound, c.label) for c in read_clip_list(write_clips(tmp_path, count=2))]
    detector = SourceDetector(str(closed_set), classes=("person", "cello", "chair"), threshold=0.0)
    prepared = prepare_mono_clips(clips, tmp_path / "clips", detector)
    assert len(prepared) == 2
    assert list(prepared.clips[0].boxes) == detector(clips[0])
    nothing = SourceDetector(str(closed_set), threshold=1.0)
    with pytest.raises(DataError, match=r"clip0\.wav and 1 more", check=coded("too-little")):
        prepare_mono_clips(clips, tmp_path / "none", nothing)


def test_weights_that_cannot_be_had_are_one_clear_line(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # no waiting for a network
    with pytest.raises(DependencyError, match="nobody/no-detector", check=coded("missing")) as e:
        SourceDetector("nobody/no-detector")
    assert "\n" not in str(e.value)


def test_folders_without_a_detector_are_reported(tmp_path, closed_set):
    with pytest.raises(ModelError, check=coded("unreadable")):
        SourceDetector(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="bert", check=coded("unsupported")):
        SourceDetector(str(tmp_path))
    with pytest.raises(ModelError, match=r"tuba; .*cello, chair, person", check=coded("unknown")):
        SourceDetector(str(closed_set), classes=("tuba",))
