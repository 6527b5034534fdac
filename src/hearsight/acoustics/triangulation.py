"""Continuous interpolation between scattered directions on the sphere."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import ConvexHull, QhullError, cKDTree
from torch import Tensor

GAP = np.deg2rad(32.0)  # an empty circle with a larger radius is a hole in the measurement grid


class SphericalTriangulation:
    """Triangles between measured directions, and the weights of their corners for any direction.

    The weights are barycentric on the triangle that the direction's ray passes through, so they are continuous, sum to
    one, are one at a measured direction, and are differentiable. If the grid has a hole (for KEMAR no measurement below
    -40 degrees), a corner is added in the middle of the hole; its value is the mean of the hole's rim. If the grid is
    symmetric to the median plane, so are the weights, although the triangles need not be: a direction's weights are
    averaged with the mirrored weights of the mirrored direction.

    Attributes:
        vertices: `[vertex, 3]` unit vectors; the measured directions in their order, then the added corners.
        fillers: `[added, direction]`, each added corner as a weighted mean of measured directions.

    Raises:
        ValueError: there are fewer than four directions, or they do not span a volume even with the holes filled.
    """

    def __init__(self, directions: Float[np.ndarray, "direction 3"]) -> None:
        holes = _holes(directions)
        vertices = np.vstack([directions, *(centre for centre, _ in holes)])
        self.vertices = torch.from_numpy(vertices)
        self.fillers = torch.zeros(len(holes), len(directions), dtype=torch.float64)
        for added, (_, rim) in enumerate(holes):
            self.fillers[added, rim] = 1 / len(rim)
        hull = _hull(vertices)
        if hull.equations[:, 3].max() > -1e-6:
            raise ValueError("the directions leave a half of the sphere empty that cannot be filled")
        self._triangles = torch.from_numpy(hull.simplices.astype(np.int64))
        self._inverses = torch.linalg.inv(self.vertices[self._triangles].transpose(-1, -2))  # corners as columns
        self._coarse = self.vertices.float(), self._inverses.float()  # for the search
        self._around = _triangles_around(hull.simplices, len(vertices))
        self._mirror = _mirror_indices(vertices)

    def weights(
        self, directions: Float[Tensor, "*batch 3"]
    ) -> tuple[Int[Tensor, "*batch corner"], Float[Tensor, "*batch corner"]]:
        """Vertices around each direction (float64 unit vectors) and their weights; 3 corners, 6 if symmetrised."""
        self._move_to(directions.device)
        corners, weights = self._barycentric(directions)
        if self._mirror is not None:
            sign = torch.tensor([1.0, -1.0, 1.0], dtype=directions.dtype, device=directions.device)
            mirrored_corners, mirrored_weights = self._barycentric(directions * sign)
            corners = torch.cat([corners, self._mirror[mirrored_corners]], dim=-1)
            weights = torch.cat([weights, mirrored_weights], dim=-1) / 2
        return corners, weights

    def areas(self) -> Float[Tensor, "direction"]:
        """Share of the sphere of each measured direction; they sum to one."""
        a, b, c = self.vertices[self._triangles].unbind(1)
        # Van Oosterom and Strackee's formula for the solid angle of a triangle.
        volume = (a * torch.linalg.cross(b, c)).sum(-1).abs()
        solid = 2 * torch.atan2(volume, 1 + (a * b).sum(-1) + (b * c).sum(-1) + (c * a).sum(-1))
        per_vertex = torch.zeros(len(self.vertices), dtype=torch.float64, device=solid.device)
        per_vertex = per_vertex.index_add(0, self._triangles.reshape(-1), solid.repeat_interleave(3) / 3)
        measured = self.fillers.shape[1]
        areas = per_vertex[:measured] + per_vertex[measured:] @ self.fillers
        return areas / areas.sum()

    def _barycentric(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        flat = directions.reshape(-1, 3)
        with torch.no_grad():
            found = [self._triangle_of(chunk) for chunk in flat.split(512)]  # bounds the memory
        triangle = torch.cat(found) if found else torch.zeros(0, dtype=torch.int64, device=flat.device)
        weights = torch.einsum("dij,dj->di", self._inverses[triangle], flat).clamp_min(0)
        weights = weights / weights.sum(-1, keepdim=True)
        shape = (*directions.shape[:-1], 3)
        return self._triangles[triangle].reshape(shape), weights.reshape(shape)

    def _triangle_of(self, directions: Float[Tensor, "direction 3"]) -> Int[Tensor, "direction"]:
        """Index of the triangle of each direction: from those around the nearest vertex, else from all triangles.

        Single precision is enough: on an edge either triangle gives the same weights.
        """
        vertices, inverses = self._coarse
        directions = directions.float()
        near = self._around[(directions @ vertices.T).argmax(-1)]
        least, best = torch.einsum("dtij,dj->dti", inverses[near], directions).amin(-1).max(-1)
        triangle = near.gather(-1, best.unsqueeze(-1)).squeeze(-1)
        missed = torch.nonzero(least < -1e-6).squeeze(-1)
        for few in missed.split(max(1, (1 << 20) // len(inverses))):
            inside = torch.einsum("tij,dj->dti", inverses, directions[few]).amin(-1)
            triangle[few] = inside.argmax(-1)
        return triangle

    def _move_to(self, device: torch.device) -> None:
        if self.vertices.device != device:
            self.vertices, self.fillers = self.vertices.to(device), self.fillers.to(device)
            self._triangles, self._inverses = self._triangles.to(device), self._inverses.to(device)
            self._coarse = self.vertices.float(), self._inverses.float()
            self._around = self._around.to(device)
            self._mirror = None if self._mirror is None else self._mirror.to(device)


def _hull(points: np.ndarray) -> ConvexHull:
    try:
        return ConvexHull(points)
    except QhullError as error:
        raise ValueError("the directions do not span a volume") from error


def _holes(directions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Centre and rim (indices) of every large empty circle on the sphere."""
    if len(directions) < 4:
        raise ValueError(f"interpolation needs at least four directions, got {len(directions)}")
    middle = directions - directions.mean(0)
    _, spread, axes = np.linalg.svd(middle, full_matrices=False)
    if spread[-1] < 1e-6 * spread[0]:  # all on one circle (a horizontal set): a hole on either side
        everywhere = np.arange(len(directions))
        return [(axes[-1], everywhere), (-axes[-1], everywhere)]
    holes: list[tuple[np.ndarray, np.ndarray]] = []
    equations = _hull(directions).equations
    cosines = -equations[:, 3]  # cosine of the radius of the empty circle around the triangle
    for equation, cosine in zip(equations[cosines < np.cos(GAP)], cosines[cosines < np.cos(GAP)], strict=True):
        centre = equation[:3]
        if not any(centre @ known > 1 - 1e-6 for known, _ in holes):
            holes.append((centre, np.flatnonzero(directions @ centre > cosine - 1e-6)))
    return holes


def _triangles_around(triangles: np.ndarray, vertices: int) -> Int[Tensor, "vertex most"]:
    """Triangles that share each vertex, at most twelve, filled up by repeating the first.

    Only poles and the middles of holes have more; the search over all triangles covers the few directions near them.
    """
    order = np.argsort(triangles.reshape(-1), kind="stable")
    counts = np.bincount(triangles.reshape(-1), minlength=vertices)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    slots = np.arange(min(12, counts.max()))
    place = starts[:, None] + np.where(slots < counts[:, None], slots, 0)
    around = order[np.minimum(place, len(order) - 1)] // 3
    return torch.from_numpy(around.astype(np.int64))


def _mirror_indices(vertices: np.ndarray) -> Tensor | None:
    """Index of each vertex's mirror image at the median plane; None if a vertex has none."""
    distance, index = cKDTree(vertices).query(vertices * np.array([1.0, -1.0, 1.0]))
    return torch.from_numpy(index.astype(np.int64)) if distance.max() < 1e-3 else None
