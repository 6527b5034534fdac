"""The room itself: six faces painted according to their materials, lit by the lamps, and drawn by rays."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearsight.simulation.drawing.canvas import Canvas
from hearsight.simulation.drawing.solids import turned
from hearsight.simulation.scene import Room

Texture = NDArray[np.float32]

TEXELS_PER_METRE = 90
_MARGIN = 2


class Walls:
    """Painted faces of a room in one sheet, in the order x=0, x=max, y=0, y=max, floor, ceiling.

    Args:
        shadows: (x, y, radius) of objects on the floor, which is darker around them.
    """

    def __init__(self, room: Room, shadows: list[tuple[float, float, float]]) -> None:
        rng = np.random.default_rng(room.drawing_seed)
        self.size = np.array(room.size)
        x, y, z = room.size
        faces = []
        self._corners = []
        tint = rng.uniform(0, 1)
        for index, (across, down) in enumerate([(y, z), (y, z), (x, z), (x, z), (x, y), (x, y)]):
            shape = (round(down * TEXELS_PER_METRE), round(across * TEXELS_PER_METRE))
            name = room.materials[index]
            # faces of one material share one pattern, for a uniform style of the room
            style = np.random.default_rng([room.drawing_seed, sum(map(ord, name))])
            paint = _paint(name, shape, style, tint)
            if index < 4 and not ("curtain" in name or "panel" in name or "rockwool" in name):
                paint = _with_windows_and_boards(paint, rng)
            faces.append(paint * _lighting(index, shape, room)[..., None])
        _shade_floor(faces[4], shadows)
        width = max(face.shape[1] for face in faces) + 2 * _MARGIN
        rows = [cv2.copyMakeBorder(face, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_REPLICATE) for face in faces]
        top = 0
        for face in rows:
            self._corners.append((top + _MARGIN, face.shape[0] - 2 * _MARGIN, face.shape[1] - 2 * _MARGIN))
            top += face.shape[0]
        sheet = np.zeros((top, width, 3), np.float32)
        top = 0
        for face in rows:
            sheet[top : top + face.shape[0], : face.shape[1]] = face
            top += face.shape[0]
        self._sheet = np.clip(sheet * 255, 0, 255).astype(np.uint8)

    def draw(self, canvas: Canvas, to_head: NDArray[np.float64], head: NDArray[np.float64]) -> None:
        """Fill the whole canvas with the room as seen from `head` with the rotation `to_head`."""
        rays = turned(to_head.T, canvas.rays.reshape(3, -1))
        position, size = head.astype(np.float32), self.size.astype(np.float32)
        rays[np.abs(rays) < 1e-7] = 1e-7
        wall = np.where(rays > 0, (size - position)[:, None], -position[:, None]) / rays
        axis = wall.argmin(axis=0)
        t = np.take_along_axis(wall, axis[None], axis=0)[0]
        point = position[:, None] + t * rays
        face = 2 * axis + (np.take_along_axis(rays, axis[None], axis=0)[0] > 0)
        across = np.where(axis == 0, point[1] / size[1], point[0] / size[0])
        down = np.where(axis == 2, point[1] / size[1], 1 - point[2] / size[2])
        corners = np.array(self._corners, np.float32)[face]
        shape = canvas.depth.shape
        map_x = (_MARGIN - 0.5 + across * corners[:, 2]).astype(np.float32).reshape(shape)
        map_y = (corners[:, 0] - 0.5 + down * corners[:, 1]).astype(np.float32).reshape(shape)
        canvas.colour[:] = cv2.remap(self._sheet, map_x, map_y, cv2.INTER_LINEAR)
        canvas.depth[:] = t.reshape(shape)
        canvas.owner[:] = 0


def _paint(name: str, shape: tuple[int, int], style: np.random.Generator, tint: float) -> Texture:
    """Paint a face of a material, without light."""
    if "brick" in name:
        colour = np.array([(0.62, 0.33, 0.25), (0.72, 0.66, 0.58), (0.80, 0.78, 0.74)][style.integers(3)])
        return _tiles(shape, (0.075, 0.24), colour, (0.78, 0.76, 0.72), 0.07, style, stagger=True)
    if name.startswith(("wooden", "plywood", "perforated_veneered", "stage", "audience", "wood_")):
        colour = np.array(
            [(0.62, 0.43, 0.26), (0.72, 0.55, 0.36), (0.48, 0.30, 0.18), (0.78, 0.66, 0.50)][style.integers(4)]
        )
        plank = (1.2, 0.16) if name.startswith(("wooden", "plywood", "perforated")) else (0.12, 1.4)
        return _tiles(shape, plank, colour, 0.55 * colour, 0.09, style, stagger=True, grain=True)
    if "marble" in name or "linoleum" in name:
        colour = np.array([(0.82, 0.80, 0.76), (0.45, 0.50, 0.48), (0.70, 0.62, 0.52)][style.integers(3)])
        return _tiles(shape, (0.5, 0.5), colour, 0.8 * colour, 0.06, style, checker=0.18 * style.random())
    if "carpet" in name or "felt" in name:
        colour = np.array(
            [(0.50, 0.16, 0.17), (0.20, 0.26, 0.42), (0.35, 0.36, 0.35), (0.52, 0.45, 0.34), (0.16, 0.34, 0.28)]
        )
        return _speckled(shape, colour[style.integers(5)], 0.10, style)
    if "curtain" in name:
        colour = np.array(
            [(0.48, 0.10, 0.13), (0.16, 0.20, 0.36), (0.60, 0.54, 0.42), (0.22, 0.33, 0.25)][style.integers(4)]
        )
        phase = np.linspace(0, shape[1] / TEXELS_PER_METRE * 2 * np.pi / 0.22, shape[1])
        folds = 0.78 + 0.22 * np.sin(phase + 0.8 * np.sin(phase * 0.37))
        return _speckled(shape, colour, 0.03, style) * folds[None, :, None].astype(np.float32)
    if "panel" in name or "rockwool" in name or "melamine" in name:
        colour = np.array([(0.46, 0.47, 0.50), (0.62, 0.58, 0.50), (0.30, 0.38, 0.42)][style.integers(3)])
        return _tiles(shape, (0.6, 0.6), colour, 0.55 * colour, 0.05, style)
    if "tile" in name or "gypsum" in name or "metal" in name:
        return _tiles(shape, (0.6, 0.6), np.array((0.88, 0.88, 0.86)), (0.66, 0.66, 0.65), 0.02, style)
    if "concrete" in name or "limestone" in name:
        return _speckled(shape, np.array((0.62, 0.61, 0.59)) * style.uniform(0.85, 1.15), 0.05, style, clouds=0.03)
    # plaster and paint: one light tint per room, sometimes with stripes
    hue = 2 * np.pi * (tint + np.array([0, 1, 2]) / 3)
    wall = _speckled(shape, 0.80 + 0.09 * np.cos(hue), 0.012, style, clouds=0.02)
    if style.random() < 0.3:
        stripes = (np.arange(shape[1]) // int(0.15 * TEXELS_PER_METRE)) % 2
        wall = wall * (1 - 0.10 * stripes[None, :, None]).astype(np.float32)
    board = int(0.10 * TEXELS_PER_METRE)
    wall[-board:] *= 0.7
    return wall


def _colour(values: ArrayLike) -> Texture:
    return np.asarray(values, np.float32)


def _speckled(
    shape: tuple[int, int], colour: NDArray, spread: float, rng: np.random.Generator, clouds: float = 0.03
) -> Texture:
    noise = rng.normal(0, spread, (*shape, 1)).astype(np.float32)
    small = rng.normal(0, clouds, (max(2, shape[0] // 40), max(2, shape[1] // 40))).astype(np.float32)
    cloud = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)[..., None]
    return (_colour(colour) * (1 + cv2.GaussianBlur(noise, (3, 3), 0)[..., None] + cloud)).astype(np.float32)


def _tiles(
    shape: tuple[int, int],
    tile_m: tuple[float, float],
    colour: NDArray,
    joint: NDArray | tuple[float, float, float],
    spread: float,
    rng: np.random.Generator,
    stagger: bool = False,
    grain: bool = False,
    checker: float = 0.0,
) -> Texture:
    """Rows of bricks, planks or tiles (height, width in metres) with joints, in slightly different shades."""
    rows = np.arange(shape[0]) / TEXELS_PER_METRE / tile_m[0]
    columns = np.arange(shape[1]) / TEXELS_PER_METRE / tile_m[1]
    if stagger and tile_m[0] > tile_m[1]:  # upright planks
        return (
            _tiles(shape[::-1], tile_m[::-1], colour, joint, spread, rng, True, grain, checker)
            .transpose(1, 0, 2)
            .copy()
        )
    row = rows.astype(int)
    shifted = columns[None] + (0.5 * (row % 2) if stagger else 0 * row)[:, None]
    column = shifted.astype(int)
    shades = rng.normal(1, spread, (row.max() + 1, column.max() + 1))
    shade = shades[row[:, None], column] - checker * ((row[:, None] + column) % 2)
    image = _colour(colour) * shade[..., None].astype(np.float32)
    if grain:
        lines = rng.normal(0, 0.05, (shape[0], max(2, shape[1] // 60))).astype(np.float32)
        image *= 1 + cv2.resize(lines, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
    width_r, width_c = 0.012 / tile_m[0], 0.012 / tile_m[1]
    gap = ((rows % 1) < width_r)[:, None] | ((shifted % 1) < width_c)
    image[gap] = _colour(joint)
    return image


def _with_windows_and_boards(paint: Texture, rng: np.random.Generator) -> Texture:
    """Add windows, doors, pictures and boards to a wall."""
    height, width = paint.shape[:2]
    metre = TEXELS_PER_METRE
    taken: list[tuple[int, int]] = []
    for _ in range(rng.integers(1, 5)):
        item = str(rng.choice(["window", "door", "picture", "picture", "board"]))
        wide, tall, low = {
            "window": (1.3, 1.2, 1.0), "door": (0.95, 2.05, 0.0), "board": (1.9, 1.1, 1.0), "picture": (0.7, 0.55, 1.4),
        }[item]  # fmt: skip
        wide *= rng.uniform(0.8, 1.3)
        w, h = int(wide * metre), int(tall * metre)
        bottom = height - int(low * metre)
        if w + 40 > width or bottom - h < 10:
            continue
        left = int(rng.integers(20, width - w - 19))
        if any(left < end + 20 and begin < left + w + 20 for begin, end in taken):
            continue
        taken.append((left, left + w))
        box = paint[bottom - h : bottom, left : left + w]
        frame = _colour([(0.93, 0.92, 0.90), (0.32, 0.20, 0.12), (0.10, 0.10, 0.11)][rng.integers(3)])
        if item == "window":
            sky = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
            box[:] = (1 - sky) * _colour([0.60, 0.76, 0.94]) + sky * _colour([0.90, 0.93, 0.94])
            box[int(0.7 * h) :] = _colour([0.35, 0.48, 0.28])
            box[h // 2 - 3 : h // 2 + 3] = frame
            box[:, w // 2 - 3 : w // 2 + 3] = frame
        elif item == "door":
            box[:] = _colour([(0.45, 0.28, 0.17), (0.80, 0.79, 0.76), (0.25, 0.33, 0.40)][rng.integers(3)])
            for y1, y2 in ((0.08, 0.45), (0.55, 0.93)):
                cv2.rectangle(
                    box, (int(0.18 * w), int(y1 * h)), (int(0.82 * w), int(y2 * h)), (box[0, 0] * 0.7).tolist(), 3
                )
            cv2.circle(box, (int(0.9 * w), int(0.52 * h)), 4, (0.85, 0.75, 0.4), -1)
        elif item == "board":
            box[:] = _colour([(0.12, 0.25, 0.20), (0.94, 0.94, 0.95)][rng.integers(2)])
        else:
            small = rng.uniform(0.1, 0.9, (rng.integers(2, 5), rng.integers(2, 5), 3)).astype(np.float32)
            box[:] = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
        edge = 5 if item != "door" else 7
        cv2.rectangle(box, (0, 0), (w - 1, h - 1), frame.tolist(), edge)
    return np.clip(paint, 0, 1)


def _lighting(index: int, shape: tuple[int, int], room: Room) -> NDArray[np.float32]:
    """Light on a face: ambient, the lamps by Lambert's law, and darker corners. `[height, width]`"""
    size = np.array(room.size)
    rows, columns = (np.arange(0, n, 8) / (n - 1) for n in shape)
    down, across = np.meshgrid(rows, columns, indexing="ij")
    axis, far = (2, index == 5) if index >= 4 else (index // 2, index % 2 == 1)
    point = np.zeros((*down.shape, 3))
    point[..., axis] = size[axis] if far else 0.0
    if axis == 2:
        point[..., 0], point[..., 1] = across * size[0], down * size[1]
    else:
        point[..., 1 - axis], point[..., 2] = across * size[1 - axis], (1 - down) * size[2]
    light = np.full(down.shape, 0.52)
    for lamp in np.array(room.lamps):
        to = lamp - point
        distance = np.linalg.norm(to, axis=-1)
        cosine = np.abs(to[..., axis]) / distance
        light += 0.62 / np.sqrt(len(room.lamps)) * (0.25 + 0.75 * cosine) / (0.6 + 0.14 * distance**2)
    edge = np.minimum(np.minimum(down, 1 - down) * shape[0], np.minimum(across, 1 - across) * shape[1])
    light *= 1 - 0.22 * np.exp(-edge / TEXELS_PER_METRE / 0.25)
    if index == 5:
        light *= 0.92
    return cv2.resize(np.minimum(light, 1.12).astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)


def _shade_floor(floor: Texture, shadows: list[tuple[float, float, float]]) -> None:
    shade = np.zeros(floor.shape[:2], np.float32)
    for x, y, radius in shadows:
        centre = (int(x * TEXELS_PER_METRE), int(y * TEXELS_PER_METRE))
        cv2.circle(shade, centre, int(radius * TEXELS_PER_METRE), 1.0, -1)
    if shadows:
        small = cv2.resize(shade, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), 0.035 * TEXELS_PER_METRE)
        floor *= 1 - 0.5 * cv2.resize(soft, (floor.shape[1], floor.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
