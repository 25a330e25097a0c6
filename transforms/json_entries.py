"""The entries of arrays in JSON records, by DuckDB: the general way of reading them."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa

from schemas.layout import Layout
from transforms.duck import ask
from transforms.fields import OTHER, Field, Fields
from transforms.json_fields import json_path, typed_texts

__all__ = ["read_entries"]

OPEN_ARRAY = ord("[")


def read_entries(fields: Fields, layout: Layout) -> Fields:
    """The fields of records together with those of their entries.

    Args:
        fields: of records, with the array of the entries among them.
        layout: says where the entries stand, and what of them is wanted.

    Returns:
        The same with the entries; a record whose field is no array has none.
    """
    assert layout.entries is not None  # noqa: S101 - who calls has looked
    arrays = fields.by_path[layout.entries]
    is_array = (arrays.kinds == OTHER) & (arrays.spans.buffer[arrays.spans.starts] == OPEN_ARRAY)
    rows = np.flatnonzero(is_array)
    texts = arrays.spans.take(rows).to_arrow_views()
    paths = layout.entry_keys
    prefix = f"{layout.entries}[]."
    inner = tuple(path.removeprefix(prefix) for path in paths)
    answer = ask(pa.table({"raw": texts, "row": rows}), _query(inner))
    owners = answer["row"].to_numpy()
    entries = answer["entry"].to_numpy() - 1
    odd = ~answer["is_object"].to_numpy(zero_copy_only=False)
    values = answer["v"].combine_chunks()
    if len(owners) > 1:
        order = np.lexsort((entries, owners))
        if (order[1:] < order[:-1]).any():
            owners, entries, odd = owners[order], entries[order], odd[order]
            values = values.take(pa.array(order))
    by_path: dict[str, Field] = {**fields.by_path, **typed_texts(values.flatten(), paths)}
    return Fields(fields.rows, by_path, owners, entries, odd)


@functools.cache
def _query(paths: tuple[str, ...]) -> str:
    wanted = ", ".join(json_path(path) for path in paths)
    return (
        "WITH arrays AS (SELECT row, json_extract(raw, '$[*]') AS every FROM t), "  # noqa: S608
        "entries AS (SELECT row, unnest(every) AS one, generate_subscripts(every, 1) AS entry "
        "FROM arrays) "
        "SELECT row, entry, json_type(one) = 'OBJECT' AS is_object, "
        f"json_extract(one, [{wanted}]) AS v FROM entries"
    )
