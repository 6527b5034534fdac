"""Values printed in the papers, to compare with measured ones. They come from the tables of recipes
(`hearsight.recipes`).

Metrics have the names used here: `mag_released` is the papers' Mag, `snr_db` their SNR, `difference_phase` their
D phase.
"""

import functools

from hearsight.errors import DataError
from hearsight.recipes import packaged_rows

Table = dict[str, dict[str, float]]


def published_table(key: str) -> tuple[str, Table]:
    """Source of a published table, and its rows: system (named as in `hearsight models` where possible) to values.

    Args:
        key: value of `published` in a benchmark file, for example "fair-play/ten-splits".

    Raises:
        DataError: there is no such table; the message lists the known ones.
    """
    tables = _tables()
    if key not in tables:
        raise DataError(f"no published table {key!r}; known: {', '.join(sorted(tables))}", "unknown")
    return tables[key]


@functools.cache
def misprints(key: str) -> dict[str, str]:
    """Notes on the rows of a table in which a printed value is wrong."""
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
