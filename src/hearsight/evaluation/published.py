"""Values printed in the papers, to stand beside one's own. They are in the tables of recipes (`hearsight.recipes`).

Metrics go by our names: `mag_released` is the papers' Mag, `snr_db` their SNR, `difference_phase` their D phase.
"""

import functools

from hearsight.errors import DataError
from hearsight.recipes import packaged_rows

Table = dict[str, dict[str, float]]


def published_table(key: str) -> tuple[str, Table]:
    """Where a table is printed, and its rows: system (as in `hearsight models` where it has a name) to values.

    Args:
        key: what a benchmark file's `published` names: "fair-play/ten-splits".

    Raises:
        DataError: there is no such table; the message lists those there are.
    """
    tables = _tables()
    if key not in tables:
        raise DataError(f"no published table {key!r}; known: {', '.join(sorted(tables))}", "unknown")
    return tables[key]


@functools.cache
def misprints(key: str) -> dict[str, str]:
    """Rows of a table in which a printed value is wrong, and what is known of it."""
    return {
        row.key: row.note
        for row in packaged_rows()
        if row.dataset is not None and row.dataset.published == key and "misprint" in row.note
    }


@functools.cache
def _tables() -> dict[str, tuple[str, Table]]:
    places: dict[str, dict[str, None]] = {}
    values: dict[str, Table] = {}
    for row in packaged_rows():
        if row.dataset is None or row.dataset.published is None:
            continue
        note = f" ({row.dataset.note})" if row.dataset.note else ""
        places.setdefault(row.dataset.published, {})[f"{row.paper}, table {row.table}{note}"] = None
        values.setdefault(row.dataset.published, {})[row.key] = row.published
    return {key: ("; ".join(places[key]), table) for key, table in values.items()}
