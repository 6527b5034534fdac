"""The torchmetrics classes: batches of any size, and two processes, give what one pass over the clips gives."""

import multiprocessing
import pickle
from pathlib import Path

import pytest
import torch

from hearsight import metrics

CLASSES = {
    metrics.STFTDistance: metrics.stft_distance,
    metrics.EnvelopeDistance: metrics.envelope_distance,
    metrics.MagnitudeDistance: metrics.magnitude_distance,
    metrics.DifferencePhaseDistance: metrics.difference_phase_distance,
    metrics.SignalToNoiseRatio: metrics.snr_db,
    metrics.WaveformDistance: metrics.waveform_distance,
    metrics.MultiResolutionSTFTDistance: metrics.multi_resolution_stft_distance,
}
COLLECTIONS = (metrics.BinauralDistances, metrics.InterauralErrors, metrics.SpatialErrorEnergies)


def clips(count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    prediction, reference = 0.1 * torch.randn(2, count, 2, 4000, generator=torch.Generator().manual_seed(0))
    return prediction, reference


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("metric_class", CLASSES)
def test_the_mean_over_uneven_batches_is_the_mean_over_clips(metric_class):
    prediction, reference = clips()
    metric = metric_class()
    for part in (slice(0, 4), slice(4, 5), slice(5, 7)):
        metric.update(prediction[part], reference[part])
    expected = CLASSES[metric_class](prediction, reference).mean()
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-5, atol=1e-7)
    metric.reset()
    with pytest.raises(ValueError, match="clip"):
        metric.compute()


def test_all_distances_at_once_are_peak_normalised_unless_asked_otherwise():
    prediction, reference = clips()
    released, plain = metrics.BinauralDistances(), metrics.BinauralDistances(peak_normalized=False)
    for metric in (released, plain):
        metric.update(3 * prediction, reference)
    expected = metrics.binaural_distances(metrics.peak_normalize(prediction), metrics.peak_normalize(reference))
    assert {k: float(v) for k, v in released.compute().items()} == pytest.approx(
        {k: float(v.mean()) for k, v in expected.items()}, rel=1e-4
    )
    assert float(plain.compute()["stft"]) > 2 * float(metrics.stft_distance(prediction, reference).mean())


def test_a_metric_is_asked_for_the_released_scripts_or_another_rate():
    prediction, reference = clips(2)
    for metric, expected in (
        (metrics.MagnitudeDistance(released=True), metrics.magnitude_distance_released(prediction, reference)),
        (metrics.InterauralErrors(8000), metrics.interaural_errors(prediction, reference, 8000).means()),
        (metrics.SpatialErrorEnergies(500), vars(metrics.spatial_error_energies(prediction, reference, 500))),
    ):
        metric.update(prediction, reference)
        means = (
            {name: value.mean() for name, value in expected.items()} if isinstance(expected, dict) else expected.mean()
        )
        torch.testing.assert_close(metric.compute(), means)
        usual = type(metric)()
        usual.update(prediction, reference)
        assert str(usual.compute()) != str(metric.compute())


def _worker(rank: int, rendezvous: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    prediction, reference = clips()
    mine = slice(0, 5) if rank == 0 else slice(5, 7)  # unevenly shared
    results = {}
    for metric_class in (*CLASSES, *COLLECTIONS):
        metric = metric_class()
        metric.update(prediction[mine], reference[mine])
        results[metric_class.__name__] = metric.compute()
    torch.save(results, f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.heavy
def test_two_processes_agree_with_one(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(rank, str(tmp_path / "meet"), str(tmp_path))) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    prediction, reference = clips()
    for rank in (0, 1):
        results = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for metric_class in (*CLASSES, *COLLECTIONS):
            single = metric_class()
            single.update(prediction, reference)
            torch.testing.assert_close(results[metric_class.__name__], single.compute(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("metric_class", (*CLASSES, *COLLECTIONS))
def test_a_metric_survives_being_sent_to_another_process(metric_class):
    prediction, reference = clips(2)
    metric = metric_class()
    metric.update(prediction, reference)
    torch.testing.assert_close(pickle.loads(pickle.dumps(metric)).compute(), metric.compute())
