"""Boxes from the files of detectors, and the one box of a segment."""

import json

import pytest
from error_codes import coded

from hearsight.errors import DataError
from hearsight.pseudo.boxes import WHOLE_FRAME, Box, box_at, read_boxes

SIZE = (240, 480)


def edges(box):
    return (box.x0, box.y0, box.x1, box.y1)


def test_coco_results_are_in_pixels_of_the_clip(tmp_path):
    file = tmp_path / "boxes.json"
    file.write_text(
        json.dumps(
            [
                {"image_id": "cello.mp4", "bbox": [48, 24, 96, 120], "score": 0.8, "category": "cello", "time_s": 1.5},
                {"image_id": "cello.mp4", "bbox": [0, 0, 480, 240], "score": 0.3, "category_id": 7, "frame": 50},
                {"image_id": 383, "bbox": [10, 10, 20, 20]},
            ]
        )
    )
    first, second = read_boxes(file).of("videos/cello.mp4", SIZE, 25.0)
    assert edges(first) == pytest.approx((0.1, 0.1, 0.3, 0.6))
    assert (first.score, first.label, first.time_s) == (0.8, "cello", 1.5)
    assert (second.label, second.time_s) == ("7", 2.0)
    assert len(read_boxes(file).of("000383.mp4", SIZE, 25.0)) == 1


def test_a_stated_size_overrules_the_clips(tmp_path):
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps([{"file_name": "a.mp4", "bbox": [100, 50, 100, 50], "width": 1000, "height": 500}]))
    (box,) = read_boxes(file).of("a.mp4", SIZE, 25.0)
    assert edges(box) == pytest.approx((0.1, 0.1, 0.2, 0.2))


def test_coco_data_sets_name_frames_by_their_files(tmp_path):
    file = tmp_path / "instances.json"
    images = [{"id": n, "file_name": f"frames/duet_{n:06d}.jpg", "width": 200, "height": 100} for n in (0, 10)]
    annotations = [
        {"image_id": 0, "bbox": [20, 10, 40, 50], "category_id": 3},
        {"image_id": 10, "bbox": [40, 10, 40, 50], "category_id": 3},
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "person"}]}
    file.write_text(json.dumps(content))
    boxes = read_boxes(file).of("duet.mp4", SIZE, 10.0)
    assert [(box.time_s, box.label) for box in boxes] == [(0.0, "person"), (1.0, "person")]
    assert edges(boxes[1]) == pytest.approx((0.2, 0.1, 0.4, 0.6))


def test_yolo_folders_hold_a_file_for_each_clip_or_frame(tmp_path):
    (tmp_path / "solo.txt").write_text("0 0.5 0.5 0.2 0.4 0.9\n\n41 0.25 0.25 0.5 0.5\n")
    (tmp_path / "duet_3.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "duet_12.txt").write_text("0 0.9 0.5 0.4 0.5\n")
    boxes = read_boxes(tmp_path)
    solo = boxes.of("solo.mp4", SIZE, 10.0)
    assert edges(solo[0]) == pytest.approx((0.4, 0.3, 0.6, 0.7)) and solo[0].score == 0.9
    assert edges(solo[1]) == pytest.approx((0.0, 0.0, 0.5, 0.5)) and solo[1].score == 1.0
    duet = boxes.of("duet.mp4", SIZE, 10.0)
    assert [box.time_s for box in duet] == pytest.approx([0.3, 1.2])
    assert duet[1].x1 == 1.0  # what reaches over the edge is cut at it
    assert boxes.of("missing.mp4", SIZE, 10.0) == []


def test_a_number_in_a_clips_own_name_is_not_a_frame(tmp_path):
    (tmp_path / "take_2.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    (box,) = read_boxes(tmp_path).of("take_2.mp4", SIZE, 10.0)
    assert box.time_s is None


@pytest.mark.parametrize("pixels", [False, True])
def test_csv_is_in_fractions_unless_an_edge_is_above_one(tmp_path, pixels):
    file = tmp_path / "boxes.csv"
    row = "48,24,96,120" if pixels else "0.1,0.1,0.2,0.5"
    file.write_text(f"clip,x0,y0,x1,y1,time_s,label\na.mp4,{row},2.5,flute\n")
    (box,) = read_boxes(file).of("a.mp4", SIZE, 10.0)
    assert edges(box) == pytest.approx((0.1, 0.1, 0.2, 0.5))
    assert (box.time_s, box.label) == (2.5, "flute")


def test_own_json_takes_one_box_or_many(tmp_path):
    file = tmp_path / "boxes.json"
    many = [{"box": [0, 0, 0.5, 0.5], "time_s": 1}, {"box": [0.5, 0, 1, 0.5], "time_s": 2, "score": 0.5}]
    file.write_text(json.dumps({"a.mp4": [0.1, 0.2, 0.3, 0.4], "b.mp4": many, "c.mp4": {"boxes": many[:1]}}))
    boxes = read_boxes(file)
    assert edges(boxes.of("a.mp4", SIZE, 10.0)[0]) == (0.1, 0.2, 0.3, 0.4)
    assert [box.time_s for box in boxes.of("b.mp4", SIZE, 10.0)] == [1.0, 2.0]
    assert len(boxes.of("c.mp4", SIZE, 10.0)) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json: .*line 1"),
        ("a.json", "3", "int$"),
        ("a.json", '[{"bbox": [1, 2, 3, 4]}]', r"entry 0: .*`bbox`"),
        ("a.json", '[{"image_id": "a", "bbox": [1, 2, 0, 4]}]', " 0 wide"),
        ("a.json", '[{"image_id": "a", "bbox": [1, 2, 3]}]', r"\[1, 2, 3\]"),
        ("a.json", '{"images": [{"id": 1}], "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}]}', "image_id 2"),
        ("a.json", '{"a.mp4": [10, 20, 30, 40]}', r"\[10, 20, 30, 40\]"),
        ("a.json", '{"a.mp4": "left"}', r"\[x0, y0, x1, y1\]"),
        ("a.csv", "clip,x0,y0\na,1,2\n", "x1, y1;"),
        ("a.csv", "clip,x0,y0,x1,y1\na,0.5,0,0.5,1\n", r"line 2: .* 0 wide"),
        ("a.csv", "clip,x0,y0,x1,y1\na,one,0,0.5,1\n", "'one'"),
        ("a.csv", "clip,x0,y0,x1,y1,frame\na,0,0,1,1,2.5\n", r"2\.5"),
        ("a.txt", "0 0.5 0.5 0.2\n", "line 1: YOLO"),
        ("a.txt", "0 50 50 20 40\n", "50 50 20 40"),
        ("a.txt", "0 0.5 nan 0.2 0.4\n", "finite"),
    ],
)
def test_malformed_files_are_named_with_their_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_boxes(tmp_path / name)


def test_what_is_not_there_or_not_text_is_one_clear_line(tmp_path):
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, check=coded("unreadable")):
        read_boxes(tmp_path / "picture.csv")
    with pytest.raises(DataError, check=coded("unreadable")):
        read_boxes(tmp_path / "missing.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"CLIP\.txt", check=coded("missing")):
        read_boxes(tmp_path / "empty")


def test_a_box_outside_of_the_picture_is_no_box():
    assert Box.clipped(1.2, 0.0, 1.5, 1.0) is None
    assert Box.clipped(float("nan"), 0.0, 1.0, 1.0) is None
    assert edges(Box.clipped(-0.5, 0.25, 0.5, 3.0)) == (0.0, 0.25, 0.5, 1.0)
    with pytest.raises(DataError, match="x0 < x1", check=coded("invalid")):
        Box(0.5, 0.0, 0.4, 1.0)


def test_a_segment_takes_the_median_of_the_boxes_within_it():
    boxes = [Box(x, 0.0, x + 0.2, 1.0, time_s=t) for t, x in [(0, 0.0), (1, 0.3), (2, 0.4), (3, 0.7), (9, 0.0)]]
    assert box_at(boxes, 1.0, 3.0).x0 == pytest.approx(0.4)  # 0.3, 0.4, 0.7: one misdetection does not move it
    assert box_at(boxes, 7.0, 8.0).x0 == 0.0  # none within: the nearest
    assert box_at([], 0.0, 1.0) is None
    assert box_at([WHOLE_FRAME], 3.0, 4.0) == WHOLE_FRAME


def test_the_best_box_of_a_time_counts_and_a_label_chooses():
    person = Box(0.0, 0.0, 0.5, 1.0, time_s=1.0, score=0.9, label="person")
    cello = Box(0.5, 0.0, 1.0, 1.0, time_s=1.0, score=0.4, label="cello")
    assert box_at([cello, person], 0.0, 2.0).x0 == 0.0
    assert box_at([cello, person], 0.0, 2.0, label="cello").x0 == 0.5
    assert box_at([cello, person], 0.0, 2.0, label="tuba").x0 == 0.0
