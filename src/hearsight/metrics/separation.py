"""SDR, SIR and SAR of separated sources: BSS Eval, version 3, with defined values for silence."""

from dataclasses import dataclass

import fast_bss_eval
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

LIMIT_DB = 100.0


@dataclass(frozen=True)
class SeparationRatios:
    """Decibels per source, higher is better, each within +-100 dB.

    Attributes:
        sdr, sir, sar: ratios of source to distortion, interference and artifacts.
        order: index of the estimate for each reference; 0, 1, 2 ... unless the best order was requested.
        defined: false for a source whose reference or estimate is silent. The published scripts leave out a mixture
            that has any such source; so do all averages here.
    """

    sdr: Float[Tensor, "*batch sources"]
    sir: Float[Tensor, "*batch sources"]
    sar: Float[Tensor, "*batch sources"]
    order: Int[Tensor, "*batch sources"]
    defined: Bool[Tensor, "*batch sources"]


def separation_ratios(
    estimates: Float[Tensor, "*batch sources samples"],
    references: Float[Tensor, "*batch sources samples"],
    best_order: bool = False,
    filter_samples: int = 512,
) -> SeparationRatios:
    """BSS Eval 3 of mono sources (Vincent et al. 2006), in double precision, equal to mir_eval within 1e-3 dB.

    Args:
        estimates, references: the stems. Each estimate is compared with the reference of its own index: the published
            systems separate the sound of a picture, so the released evaluations (2.5D Visual Sound, PixelPlayer,
            Sep-Stereo) allow no other order.
        best_order: use the order of the estimates with the highest mean SIR, as BSS Eval does for blind separation and
            mir_eval by default.
        filter_samples: length of the distortion filter that does not count as an error.

    Silence: a silent estimate of a sounding source has -100 dB in all three. A silent source has 100 dB if its estimate
    is silent too and otherwise -100 dB; the other sources are measured without it. A perfect estimate has 100 dB.

    Raises:
        ValueError: the shapes differ, or there is no sample.
    """
    if estimates.shape != references.shape or estimates.dim() < 2 or estimates.shape[-1] < 1:
        raise ValueError(
            f"need two [..., sources, samples] alike, got {tuple(estimates.shape)} and {tuple(references.shape)}"
        )
    *batch, sources, samples = references.shape
    estimated = estimates.detach().double().reshape(-1, sources, samples)
    true = references.detach().double().reshape(-1, sources, samples)
    orders = torch.arange(sources, device=true.device).expand(len(true), sources).clone()
    if best_order and sources > 1:
        for index in range(len(true)):
            orders[index] = _best_order(estimated[index], true[index], filter_samples).to(orders)
        estimated = estimated.gather(1, orders.unsqueeze(-1).expand(-1, -1, samples))
    ratios = _in_order(estimated, true, filter_samples)
    defined = _sounds(true) & _sounds(estimated)
    sdr, sir, sar, orders, defined = (value.reshape(*batch, sources) for value in (*ratios, orders, defined))
    return SeparationRatios(sdr, sir, sar, orders, defined)


def _in_order(estimated: Tensor, true: Tensor, filter_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    true_sounds, estimated_sounds = _sounds(true), _sounds(estimated)
    right = torch.where(true_sounds == estimated_sounds, LIMIT_DB, -LIMIT_DB).to(
        true
    )  # values that BSS Eval leaves undefined
    ratios = torch.stack([right, right, right])
    # Clips with the same missing references are solved together.
    for pattern in true_sounds.unique(dim=0):
        if not pattern.any():
            continue
        clips = (true_sounds == pattern).all(-1).nonzero().squeeze(-1)
        present = pattern.nonzero().squeeze(-1)
        reference, estimate = true[clips][:, present], estimated[clips][:, present]
        # An estimate's ratios depend on no other estimate, so a silent one may have any value here; it is
        # overwritten.
        silent = ~estimated_sounds[clips][:, present]
        estimate = torch.where(silent.unsqueeze(-1), reference, estimate)
        values = torch.stack(_bss_eval(reference, estimate, filter_samples)).clamp(-LIMIT_DB, LIMIT_DB)
        values = torch.where(silent, -LIMIT_DB, values)
        for place, source in enumerate(present):
            ratios[:, clips, source] = values[:, :, place]
    sdr, sir, sar = ratios
    return sdr, sir, sar


def _bss_eval(reference: Tensor, estimate: Tensor, filter_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    sources = reference.shape[1]
    arguments = {"filter_length": filter_samples, "compute_permutation": False, "clamp_db": LIMIT_DB}
    try:
        values = fast_bss_eval.bss_eval_sources(reference, estimate, **arguments)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        # References that are filtered copies of each other; mir_eval uses least squares.
        values = fast_bss_eval.bss_eval_sources(reference, estimate, load_diag=1e-10, **arguments)
    sdr, sir, sar = values[:3]
    if sources == 1:  # there is no interference
        sir = torch.full_like(sdr, LIMIT_DB)
    return sdr, sir, sar


def _best_order(estimated: Tensor, true: Tensor, filter_samples: int) -> Tensor:
    sources = len(true)
    sir = torch.empty(sources, sources, dtype=true.dtype)  # for each reference (row) and each estimate (column)
    rows = torch.arange(sources)
    for shift in range(sources):
        columns = (rows + shift) % sources
        _, values, _ = _in_order(estimated[columns].unsqueeze(0), true.unsqueeze(0), filter_samples)
        sir[rows, columns] = values[0].cpu()
    _, columns_of_best = linear_sum_assignment(sir.numpy(), maximize=True)
    return torch.from_numpy(columns_of_best)


def _sounds(signals: Tensor) -> Tensor:
    return (signals != 0).any(-1)
