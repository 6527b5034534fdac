"""Non-negative matrix factorisation of magnitude spectrograms."""

import numpy as np
from jaxtyping import Float


def factorize(
    magnitudes: Float[np.ndarray, "frequency time"],
    components: int,
    iterations: int = 40,
    spectra: Float[np.ndarray, "frequency components"] | None = None,
    seed: int = 0,
) -> tuple[Float[np.ndarray, "frequency components"], Float[np.ndarray, "components time"]]:
    """Factorise `magnitudes` into spectra and activations, minimising the Kullback-Leibler divergence of their product.

    Multiplicative updates (Lee and Seung, "Algorithms for non-negative matrix factorization", NIPS 2000); every
    iteration lowers the divergence. The spectra have unit sum.

    Args:
        components: number of components; ignored if `spectra` is given.
        spectra: initial spectra (from an earlier segment of the same sound), so that components keep their meaning.
    """
    generator = np.random.default_rng(seed)
    frequency, time = magnitudes.shape
    floor = np.float32(1e-9)
    v = np.maximum(magnitudes.astype(np.float32), floor)
    if spectra is None:
        # Blurred columns of the spectrogram itself: closer to a solution than noise.
        loudness = v.sum(0) / v.sum()
        chosen = generator.choice(time, size=components, replace=components > time, p=loudness / loudness.sum())
        w = v[:, chosen] + 0.1 * v.mean(1, keepdims=True) * generator.random((frequency, components), dtype=np.float32)
    else:
        # A small amount of the new mean, so that components that were zero can become active.
        w = spectra.astype(np.float32) + np.float32(1e-3) * (v.mean(1, keepdims=True) / v.mean() / frequency)
    w /= w.sum(0, keepdims=True)
    h = np.full((w.shape[1], time), v.sum() / time / w.shape[1], dtype=np.float32)
    for _ in range(iterations):
        h *= (w.T @ (v / (w @ h + floor))) / (w.sum(0)[:, None] + floor)
        w *= ((v / (w @ h + floor)) @ h.T) / (h.sum(1)[None] + floor)
        scale = w.sum(0) + floor
        w, h = w / scale, h * scale[:, None]
    return w, h
