"""The table `erasures`: that somebody was forgotten, when, by whom and where, without saying who.

Ingest leaves out whom it lists, by salted digest: a file that still has the customer does not bring them back.
Ids are few, so who can read this table can try them all; that is why it holds no more than it needs.
"""

import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b

import polars as pl

from lakehouse.contracts import TABLES
from lakehouse.naming import KEY, CustomerId, in_raw, number
from lakehouse.storage import Lake

ERASURES = "erasures"
SCHEMA = pl.Schema(
    {
        "erasure": pl.String(),
        "step": pl.String(),
        "at": pl.Datetime("us"),
        "by": pl.String(),
        "salt": pl.String(),
        "digest": pl.String(),
        "tables": pl.List(pl.String()),
        "rows_removed": pl.Int64(),
        "models": pl.List(pl.String()),
    }
)
"""An erasure has a row `begun`, from which on ingest leaves the customer out, and a row `done` with what it removed."""


class Forgotten:
    """The customers whom ingest leaves out; `left_out` counts their rows."""

    def __init__(self, lake: Lake) -> None:
        listed = lake.scan(ERASURES).drop_nulls("digest").collect() if lake.exists(ERASURES) else pl.DataFrame()
        self.salt: str | None = listed["salt"][0] if listed.height else None
        self.digests = frozenset(listed["digest"]) if listed.height else frozenset()
        self.left_out = 0

    def without(self, table: str, rows: pl.LazyFrame) -> pl.LazyFrame:
        """A raw table's rows less those that name one of them."""
        if not self.digests or KEY not in TABLES[table]:
            return rows
        ids = [each for each in _named(rows) if digest(each, self.salt or "") in self.digests]
        if not ids:
            return rows
        mine = in_raw(ids)
        self.left_out += int(rows.select(mine.sum()).collect(engine="streaming").item())
        return rows.filter(~mine)


def digest(customer_id: CustomerId, salt: str) -> str:
    """What stands for a customer here."""
    return blake2b(str(customer_id).encode(), key=salt.encode(), digest_size=16).hexdigest()


def begin(lake: Lake, customer_id: CustomerId, *, by: str) -> str:
    """Record that a customer is being forgotten, and give the erasure's name; ingest leaves them out from now on."""
    forgotten = Forgotten(lake)
    salt, erasure = forgotten.salt or secrets.token_hex(16), str(uuid.uuid4())
    _append(lake, erasure, "begun", by, {"salt": salt, "digest": digest(customer_id, salt)})
    return erasure


def finished(lake: Lake, customer_id: CustomerId) -> bool:
    """Whether the newest erasure of the customer has come to its end."""
    salt = Forgotten(lake).salt
    if salt is None:
        return False
    rows = lake.scan(ERASURES)
    begun = rows.filter(pl.col("digest") == digest(customer_id, salt)).sort("at").select("erasure").last()
    return not rows.filter(pl.col("step") == "done").join(begun, on="erasure", how="semi").collect().is_empty()


def finish(lake: Lake, erasure: str, *, by: str, tables: Sequence[str], rows: int, models: Sequence[str]) -> None:
    """Record what an erasure removed, and the models that were trained with it."""
    _append(lake, erasure, "done", by, {"tables": list(tables), "rows_removed": rows, "models": list(models)})


def _append(lake: Lake, erasure: str, step: str, by: str, said: dict[str, object]) -> None:
    row = {"erasure": erasure, "step": step, "at": datetime.now(UTC).replace(tzinfo=None), "by": by, **said}
    lake.append(ERASURES, pl.DataFrame([row], schema=SCHEMA))


def _named(rows: pl.LazyFrame) -> list[CustomerId]:
    """Every whole number, and every other text, by which rows may name a customer."""
    text = pl.col(KEY)
    odd = rows.filter(number(text).is_null()).select(pl.concat_str([text, "raw"], separator=",", ignore_nulls=True))
    found = [
        rows.select(number(text).alias(KEY)).unique(),
        odd.select(pl.col(KEY).str.extract_all(r"\d+")).explode(KEY).select(pl.col(KEY).cast(pl.Int64, strict=False)),
    ]
    numbers = pl.concat(found).drop_nulls().unique().collect(engine="streaming")[KEY].to_list()
    texts = rows.filter(number(text).is_null()).select(text.str.strip_chars()).drop_nulls().unique().collect()
    return [*numbers, *texts[KEY].to_list()]
