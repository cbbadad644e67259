"""What can go wrong in ways that a user can mend; the command line prints these as one line, without a traceback."""


class ShopSphereError(Exception):
    """A mistake or a missing thing that the user can mend; its text says what failed and what to do next."""


class ConfigurationError(ShopSphereError):
    """A setting is wrong."""


class SourceError(ShopSphereError):
    """Raw data cannot be read or does not have the contract's shape."""


class StorageError(ShopSphereError):
    """The lake's storage cannot be reached or written."""


class MissingBucketError(StorageError):
    """The bucket does not exist."""


class AccessDeniedError(StorageError):
    """The credentials are wrong, missing or expired, or do not allow what was asked."""


class UnreachableStoreError(StorageError):
    """The store does not answer, or too slowly, or only with errors of its own, after retries."""


class ConcurrentBuildError(ShopSphereError):
    """Somebody else changed the same table meanwhile; nothing of this run became part of it."""


class MissingTableError(ShopSphereError):
    """A table of the lake does not exist yet."""


class EngineError(ShopSphereError):
    """The cluster that ENGINE names cannot be reached, or its workers cannot do the work."""
