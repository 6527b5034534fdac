"""One mixture of the report: spectrograms of mix, estimates and truth (Sep-Stereo, figure 4), with players."""

from html import escape

import torch

from hearsight.evaluation.report.clip import PEAK, player, track_button
from hearsight.evaluation.report.images import frame_image, spectrogram_image
from hearsight.evaluation.separation import SeparationExample
from hearsight.metrics import spectrogram


def mixture_section(anchor: str, example: SeparationExample, sample_rate_hz: int) -> str:
    """HTML of one mixture: for each system a row with the spectrograms of the first and the second source."""
    mix = example.truth.sum(0, keepdim=True)
    samples = mix.shape[-1]
    loudest = float(spectrogram(mix).abs().max())
    rows = {name: _fitting(sounds, samples) for name, sounds in example.estimates.items()} | {"Truth": example.truth}
    gain = PEAK / max(1e-6, float(mix.abs().max()), *(float(sounds.abs().max()) for sounds in rows.values()))
    buttons = [track_button("Mix", mix * gain, sample_rate_hz, "track on")]
    figures = []
    for name, sounds in rows.items():
        for (source, _, _), sound in zip(example.sources, sounds.unsqueeze(1), strict=True):
            title = f"{name}: {source}"
            buttons.append(track_button(title, sound * gain, sample_rate_hz))
            figures.append(_figure(title, spectrogram_image(sound, loudest)))
    pictures = "".join(
        f'<figure><img class="frame" alt="{escape(name, quote=True)}" src="{frame_image(picture, time_s)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, picture, time_s in example.sources
    )
    duration = samples / sample_rate_hz
    return (
        f'<article class="clip" id="{anchor}"><h3>{escape(example.name)}</h3><div class="columns"><div class="side">'
        f"{pictures}{player(duration, buttons)}</div><div>{_figure('Mix, 0–8 kHz', spectrogram_image(mix, loudest))}"
        f'<div class="mixture">{"".join(figures)}</div></div></div></article>'
    )


def _figure(title: str, image: str) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><div class="over"><img alt="spectrogram" src="{image}">'
        f'<i class="cursor"></i></div></figure>'
    )


def _fitting(sounds: torch.Tensor, samples: int) -> torch.Tensor:
    """Pad or cut sounds to the length of the mix; resampling may give a sample more or fewer."""
    return torch.nn.functional.pad(sounds, (0, max(0, samples - sounds.shape[-1])))[:, :samples]
