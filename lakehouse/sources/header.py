"""Checks that a raw file's header is the contract's."""

from collections.abc import Sequence

from lakehouse.errors import SourceError

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def check_header(address: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a header that lacks a column, has another one, or has one twice; the order is free.

    Raises:
        SourceError: it says what is wrong, and that nothing was loaded.
    """
    if not found:
        raise SourceError(f"{address} is empty: its first line must be {','.join(expected)}; nothing was loaded")
    for separator, name in SEPARATORS.items():
        if len(found) == 1 and separator in found[0]:
            raise SourceError(
                f"{address} has {name} between its columns: save it with commas (CSV UTF-8); nothing was loaded"
            )
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    twice = sorted({name for name in found if found.count(name) > 1})
    faults = [
        f"{what} {', '.join(map(repr, names))}"
        for what, names in (("lacks", missing), ("has unknown", extra), ("repeats", twice))
        if names
    ]
    if faults:
        raise SourceError(
            f"{address} {' and '.join(faults)}: its columns must be {','.join(expected)}; nothing was loaded"
        )
