"""Words of messages, and texts of others in them."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """A text whose control characters, but for tabs and line ends, are written as escapes: a terminal obeys them."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
