"""Every metric gives on a GPU what it gives on the CPU."""

import pytest
import torch

from hearsight import metrics
from hearsight.acoustics import load_hrirs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def everything(device: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, reference = (0.1 * torch.randn(2, 3, 2, 16_000, generator=generator)).to(device)
    lookup = metrics.DirectionLookup(load_hrirs(), 16_000)
    azimuth = torch.full((3, 1), 0.5, device=device)
    energies = metrics.spatial_error_energies(prediction, reference, 16_000)
    return {
        **metrics.binaural_distances(prediction, reference),
        **metrics.interaural_errors(prediction, reference, 16_000).means(),
        "multi": metrics.multi_resolution_stft_distance(prediction, reference),
        "spatial": energies.spatial_db,
        "residual": energies.residual_db,
        "direction": lookup.error(prediction, azimuth, torch.zeros_like(azimuth)),
        "sdr": metrics.separation_ratios(prediction + reference.flip(1), reference).sdr,
    }


def test_every_metric_agrees_with_the_cpu():
    on_cpu, on_gpu = everything("cpu"), everything("cuda")
    for name, value in on_cpu.items():
        assert on_gpu[name].is_cuda, name
        torch.testing.assert_close(on_gpu[name].cpu(), value, rtol=1e-3, atol=1e-4, msg=name)
