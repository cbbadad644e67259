"""Turns what the storage libraries raise into one typed line that says what failed and what to do, without a secret."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lakehouse.errors import (
    AccessDeniedError,
    MissingBucketError,
    ShopSphereError,
    StorageError,
    UnreachableStoreError,
)

KINDS = (
    (r"NoSuchBucket|bucket does not exist", MissingBucketError, "create the bucket or correct its name"),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|401 Unauthorized|credentials",
        AccessDeniedError,
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    ),
    (
        r"403 Forbidden|AccessDenied|Access Denied|\(403\)|Permission ?denied|Read-only file system|privileges",
        AccessDeniedError,
        "give this user the right to read, write, list and delete there",
    ),
    (r"No space left|Disk quota", StorageError, "free some space there, then run the same again: nothing is lost"),
    (
        r"error sending request|error decoding response|timed out|timeout|Connect|connection|"
        r"50[0234] [A-Z]|SlowDown|reduce your request rate|after \d+ retries",
        UnreachableStoreError,
        "check AWS_ENDPOINT_URL and that the store is up, then run the same again: nothing is lost or doubled",
    ),
)
"""What the object stores' texts mean, the most telling first: neither library gives a type or a status."""
REMOTE = re.compile(
    r"Generic S3 error|object[- ]store error|Object at location|No space left|Read-only file|"
    r"Error performing (GET|PUT|POST|HEAD|DELETE|list)|endpoint URL|bucket does not exist",
    re.IGNORECASE,
)
"""Tells a failure of the storage from a query or a raw file that is wrong: the types that are raised do not."""
COLOUR = re.compile(r"\x1b\[\d+m")
CAUSES = (r"<Code>(\w+)</Code>", r"(NoSuchBucket|SlowDown|AccessDenied)", r"(\d{3} [A-Z][A-Za-z ]+)(?=[:\s])")
LONGEST = 200


@contextmanager
def storage_failures(place: str) -> Iterator[None]:
    """Raise a StorageError, or the kind of it that fits, for what fails in the storage within.

    Raises:
        StorageError: reading or writing `place` failed. A missing table, a lost race, a wrong query pass as they are.
    """
    try:
        yield
    except Exception as error:
        if not is_storage_failure(error):
            raise
        raise storage_error(place, error) from error


def is_storage_failure(error: Exception) -> bool:
    """Whether the storage failed, and not what was asked of it."""
    if isinstance(error, ShopSphereError | TableNotFoundError):
        return False
    if isinstance(error, DeltaError) and not isinstance(error, CommitFailedError):
        return True
    return bool(REMOTE.search(str(error)))


def storage_error(place: str, error: Exception) -> StorageError:
    """The error that tells a person what failed there and what to do."""
    text = COLOUR.sub("", str(error))
    for pattern, kind, remedy in KINDS:
        if re.search(pattern, text, re.IGNORECASE if kind is UnreachableStoreError else 0):
            return kind(f"cannot reach or write {place}: {_short(text) or type(error).__name__}; {remedy}")
    return StorageError(
        f"cannot reach or write {place}: {_short(text) or type(error).__name__}; "
        "check LAKE_ROOT, AWS_ENDPOINT_URL and the credentials"
    )


def _short(text: str) -> str:
    """The store's own code where it gave one, else how the text begins and ends."""
    for cause in CAUSES:
        if code := re.search(cause, text):
            return code[1]
    lines = [line.strip(" ↳") for line in text.splitlines() if line.strip(" ↳")]
    if len(lines) > 1:
        return f"{lines[0][:LONGEST]} … {lines[-1][:LONGEST]}"
    return lines[0][:LONGEST] if lines else ""
