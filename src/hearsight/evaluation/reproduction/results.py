"""A reproduced table: measured beside published values, with intervals, and the outcome of the table's claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from hearsight.evaluation.columns import METRICS, column
from hearsight.evaluation.statistics import PairedTest, bootstrap_over_seeds
from hearsight.evaluation.tables import markdown_grid, printed
from hearsight.recipes import Claim

Values = Float[np.ndarray, "seeds clips"]
_HIGHER = {"sdr", "sir", "sar"}
FEWEST_CLIPS = 10
"""Fewest clips for a verdict: resampling fewer says nothing about other clips."""


@dataclass(frozen=True)
class MeasuredRow:
    """One row of a reproduced table.

    Attributes:
        key, label: key and label of the row.
        published: metric to the paper's value.
        values: metric to the value of each seed on each clip (mean over its splits); empty if nothing was measured.
        note: differences from the paper, or the reason why nothing was measured.
    """

    key: str
    label: str
    published: dict[str, float]
    values: dict[str, Values]
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """Outcome of testing a claim.

    Attributes:
        claim: claim of the table.
        metric: metric of the test.
        test: better row minus worse row; None if one of them was not measured.
        outcome: `confirmed` or `contradicted` if the 95 % interval of the difference excludes zero; `undecided` if it
            does not, or on fewer than FEWEST_CLIPS clips; `not run` if there is no test.
    """

    claim: Claim
    metric: str
    test: PairedTest | None
    outcome: Literal["confirmed", "contradicted", "undecided", "not run"]


def verdict(claim: Claim, rows: Mapping[str, MeasuredRow], metric: str) -> Verdict:
    """Test a claim with a metric."""
    metric = claim.metric or metric
    pair = [rows[key].values.get(metric) if key in rows else None for key in (claim.better, claim.worse)]
    if pair[0] is None or pair[1] is None:
        return Verdict(claim, metric, None, "not run")
    test = bootstrap_over_seeds(pair[0], pair[1])
    if test.low <= 0 <= test.high or pair[0].shape[1] < FEWEST_CLIPS:
        return Verdict(claim, metric, test, "undecided")
    better = (test.difference > 0) == higher_is_better(metric)
    return Verdict(claim, metric, test, "confirmed" if better else "contradicted")


def higher_is_better(metric: str) -> bool:
    """Whether higher values of a metric are better, including the metrics of separation."""
    return metric in _HIGHER or (metric in METRICS and column(metric).higher_is_better)


def table_text(
    title: str, metrics: Sequence[str], rows: Sequence[MeasuredRow], verdicts: Sequence[Verdict], remarks: Sequence[str]
) -> str:
    """The table in Markdown: each metric with its interval beside the published value, and the claims."""
    header = ["Row"]
    for metric in metrics:
        header += [f"{_title(metric)} {'↑' if higher_is_better(metric) else '↓'}", "published"]
    grid = [header]
    for row in rows:
        line = [row.label]
        for metric in metrics:
            line += [_measured(row.values.get(metric), metric), f"{row.published.get(metric, '–')}"]
        grid.append(line)
    parts = [f"### {title}", *remarks, markdown_grid(grid)]
    parts.append(
        "Mean over seeds, splits and clips [95 % interval of a bootstrap over clips and seeds]; in brackets the worst "
        "and the best seed."
    )
    notes = [f"- {row.label}: {row.note}." for row in rows if row.note]
    parts += ["\n".join(notes)] if notes else []
    if verdicts:
        claims = [["Claim", "Difference [95 %]", "p", "Outcome"]]
        for one in verdicts:
            claims.append([f"{one.claim.says} ({_title(one.metric)})", *_tested(one), one.outcome])
        parts.append(markdown_grid(claims))
    return "\n\n".join(parts) + "\n"


def table_json(metrics: Sequence[str], rows: Sequence[MeasuredRow], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The table's numbers as a JSON object."""

    def of_row(row: MeasuredRow, metric: str) -> dict[str, Any]:
        values = row.values.get(metric)
        compared: dict[str, Any] = {"published": row.published.get(metric)}
        if values is not None:
            test = bootstrap_over_seeds(values)
            compared |= {"mean": test.difference, "low": test.low, "high": test.high, "seeds": values.mean(1).tolist()}
            compared["clips"] = values.shape[1]
        return compared

    return {
        "rows": {row.label: {metric: of_row(row, metric) for metric in metrics} for row in rows},
        "claims": [
            {
                "says": one.claim.says,
                "better": one.claim.better,
                "worse": one.claim.worse,
                "metric": one.metric,
                "outcome": one.outcome,
                **({} if one.test is None else vars(one.test)),
            }
            for one in verdicts
        ],
    }


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric.upper()


def _text(value: float, metric: str) -> str:
    return printed(value, metric) if metric in METRICS else f"{value:.2f}"


def _measured(values: Values | None, metric: str) -> str:
    if values is None:
        return "–"
    test = bootstrap_over_seeds(values)
    text = f"{_text(test.difference, metric)} [{_text(test.low, metric)}, {_text(test.high, metric)}]"
    if len(values) > 1:
        ends = sorted(values.mean(1), reverse=not higher_is_better(metric))
        text += f" ({_text(ends[0], metric)} to {_text(ends[-1], metric)})"
    return text


def _tested(one: Verdict) -> list[str]:
    if one.test is None:
        return ["–", "–"]
    low, high = _text(one.test.low, one.metric), _text(one.test.high, one.metric)
    return [f"{one.test.difference:+.4f} [{low}, {high}]", f"{one.test.p:.4f}"]
