"""Silent objects in the room, each in its own axes (origin on the floor, front towards +x)."""

import numpy as np

from hearsight.simulation.drawing.players import seat
from hearsight.simulation.drawing.solids import Limb, Solid, Surface

Parts = list[Solid | Limb]


def furniture(item: str, drawing_seed: int) -> Parts:
    """A chair, table, plant, lamp, loudspeaker, music stand, bookshelf or crate; `drawing_seed` decides its colours."""
    rng = np.random.default_rng(drawing_seed)
    hue = tuple(float(c) for c in rng.uniform(0.2, 0.85, 3))
    wood = Surface(((0.55, 0.36, 0.20), (0.30, 0.19, 0.12), (0.82, 0.72, 0.56))[rng.integers(3)], 0.2)
    black = Surface((0.07, 0.07, 0.08), 0.3)
    if item == "chair":
        return seat(hue, back=True)
    if item == "table":
        top = _block((0, 0, 0.72), (0.38, 0.38, 0.02), wood)
        legs: Parts = [
            Limb(np.array([x, y, 0.7]), np.array([x, y, 0.02]), 0.025, 0.02, wood)
            for x in (-0.33, 0.33) for y in (-0.33, 0.33)
        ]  # fmt: skip
        vase = Limb(np.array([0.1, 0.1, 0.78]), np.array([0.1, 0.1, 0.92]), 0.05, 0.03, Surface(hue, 0.5))
        return [top, *legs, vase]
    if item == "plant":
        pot = Surface((0.62, 0.32, 0.22))
        parts: Parts = [Limb(np.array([0, 0, 0.10]), np.array([0, 0, 0.24]), 0.10, 0.14, pot)]
        for _ in range(22):
            direction = rng.normal(0, 1, 3) * [1, 1, 0.7] + [0, 0, 0.5]
            direction /= np.linalg.norm(direction)
            green = Surface(tuple(float(c) for c in np.array([0.16, 0.42, 0.16]) * rng.uniform(0.7, 1.4)))
            start = np.array([0, 0, 0.36 + 0.5 * rng.random()])
            parts.append(Limb(start, start + direction * rng.uniform(0.2, 0.42), 0.022, 0.05, green))
        parts.append(Limb(np.array([0, 0, 0.2]), np.array([0, 0, 0.85]), 0.02, 0.015, wood))
        return parts
    if item == "lamp":
        shade = Surface((0.97, 0.92, 0.78))
        return [
            Solid("can", np.array([0, 0, 0.015]), np.diag([0.15, 0.15, 0.015]), black),
            Limb(np.array([0, 0, 0.02]), np.array([0, 0, 1.5]), 0.013, 0.013, black),
            Solid("can", np.array([0, 0, 1.58]), np.diag([0.17, 0.17, 0.13]), shade),
        ]
    if item == "loudspeaker":
        tall = float(rng.uniform(0.35, 0.55))
        parts = [_block((0, 0, tall), (0.17, 0.20, tall), black)]
        for z, radius in ((0.6, 0.14), (1.35, 0.10), (1.75, 0.05)):
            cone = np.array([[0, 0, 0.012], [radius, 0, 0], [0, radius, 0]])
            parts.append(Solid("can", np.array([0.17, 0, z * tall]), cone, Surface((0.30, 0.30, 0.32), 0.4)))
        return parts
    if item == "music stand":
        desk = np.stack([[0, 0.24, 0], [-0.06, 0, 0.15], [0.012, 0, 0.005]], axis=1)
        paper = np.stack([[0, 0.19, 0], [-0.05, 0, 0.125], [0.004, 0, 0.0015]], axis=1)
        parts = [
            Limb(np.array([0, 0, 0.05]), np.array([0, 0, 1.02]), 0.013, 0.013, black),
            Solid("block", np.array([0, 0, 1.12]), desk, black),
            Solid("block", np.array([0.016, 0, 1.13]), paper, Surface((0.95, 0.94, 0.90))),
        ]
        for angle in (0.2, 2.3, 4.4):
            low = np.array([0.24 * np.cos(angle), 0.24 * np.sin(angle), 0.012])
            parts.append(Limb(low, np.array([0, 0, 0.25]), 0.011, 0.011, black))
        return parts
    if item == "bookshelf":
        parts = [_block((-0.12, 0, 0.9), (0.02, 0.42, 0.9), wood)]
        parts += [_block((0.0, y, 0.9), (0.13, 0.02, 0.9), wood) for y in (-0.42, 0.42)]
        for shelf in range(5):
            z = 0.03 + 0.43 * shelf
            parts.append(_block((0.0, 0, z), (0.13, 0.42, 0.015), wood))
            at = -0.38
            while shelf < 4 and at < 0.34:
                thick, tall = rng.uniform(0.02, 0.05), rng.uniform(0.12, 0.17)
                cover = Surface(tuple(float(c) for c in rng.uniform(0.1, 0.8, 3)))
                parts.append(_block((0.0, at + thick, z + 0.02 + tall), (0.10, thick, tall), cover))
                at += 2 * thick + (0.10 if rng.random() < 0.15 else 0.0)
        return parts
    if item == "crate":
        size = rng.uniform([0.2, 0.2, 0.18], [0.32, 0.35, 0.35])
        cloth = Surface(hue)
        rim = Surface((0.75, 0.75, 0.78), 0.8)
        body = _block((0, 0, size[2]), tuple(size), cloth)
        edges = [_block((0, 0, z), (size[0] + 0.01, size[1] + 0.01, 0.018), rim) for z in (0.03, 2 * size[2] - 0.01)]
        return [body, *edges]
    raise ValueError(f"unknown object {item!r}")


def _block(centre: tuple[float, float, float], half: tuple[float, ...], surface: Surface) -> Solid:
    return Solid("block", np.array(centre, dtype=np.float64), np.diag(np.array(half, dtype=np.float64)), surface)
