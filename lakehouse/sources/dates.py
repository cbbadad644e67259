"""Tells which form a file's dates have, before any is read: a form that nobody declared is refused, not guessed."""

import polars as pl

DAY_AND_MONTH = r"^\s*(?P<first>\d{1,2})-(?P<second>\d{1,2})-\d{4}\b"
UNREAD = r"^\s*(\d{1,4}[/.]\d{1,2}[/.]\d{1,4}|\d{1,2}-\d{1,2}-\d{2})\b"
"""Slashes or dots, or a year of two digits."""
FORMS = (
    "write it as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, "
    "or as DD-MM-YYYY or DD-MM-YYYY HH:MM and declare that with `--dialect excel`"
)


def advice(texts: pl.Series, dialect: str) -> tuple[str, str] | None:
    """A date of the file and what to do about it, where most of its dates have a form that the dialect does not read.

    Single dates of another form are for the rules of a row.
    """
    values = texts.str.strip_chars().replace(["", "Null"], None).drop_nulls()
    odd = values.filter(values.str.contains(UNREAD))
    if 2 * len(odd) > len(values):
        return odd[0], FORMS
    dashed = values.filter(values.str.contains(DAY_AND_MONTH))
    if 2 * len(dashed) <= len(values):
        return None
    parts = dashed.str.extract_groups(DAY_AND_MONTH).struct.unnest().cast(pl.Int64)
    late = parts["second"] > 12  # months of a year
    if late.any() and not (parts["first"] > 12).any():
        return dashed.filter(late)[0], f"its month comes first; {FORMS}"
    if dialect == "excel":
        return None
    return dashed[0], (
        "the contract is YYYY-MM-DD. If that is DD-MM-YYYY, as Excel saves it, declare it with `--dialect excel`"
    )
