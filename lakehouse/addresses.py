"""Addresses as people write them: what is neither a folder nor in a bucket is refused, and not taken for a folder."""

import re
from urllib.parse import urlsplit

BUCKET = re.compile(r"s3://[^/\s]+(/.*)?")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|s3:|s3a:", re.IGNORECASE)


def place(text: str) -> str:
    """A folder's path or an `s3://bucket/…` address, as it was given.

    Raises:
        ValueError: it is an address of another kind, or names no bucket.
    """
    if SCHEME.match(text) and not BUCKET.fullmatch(text):
        raise ValueError(f"{shown(text)!r} is neither a folder nor s3://bucket/…, the two that can be read and written")
    return text


def shown(text: str) -> str:
    """An address without user and password, also where it is written wrongly."""
    return re.sub(r"[^/\s]+@", "", text)


def endpoint(text: str) -> str:
    """The `http://` or `https://` address of a store, as it was given, or nothing.

    Raises:
        ValueError: it is of another kind.
    """
    if not text:
        return text
    parts = urlsplit(text)
    try:
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # the port is no number up to 65535
        fits = False
    if not fits:
        raise ValueError(f"{shown(text)!r} is no address of a store: write it as http://host:port or https://host")
    return text
