"""Memory that was freed is kept for the next who asks: to give it back and take it anew costs builds a tenth."""

import ctypes
import os
from contextlib import suppress

POLARS = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:30000,muzzy_decay_ms:30000,percpu_arena:percpu")
"""Polars' jemalloc gives back what was unused for half a minute, and has one arena for each core."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 64 << 20, 32 << 20
"""NumPy's glibc keeps so many bytes, and takes arrays up to the largest size that it allows from them."""


def keep_freed_memory() -> None:
    """Call before importing Polars. Where there is no glibc, NumPy's memory is as ever."""
    os.environ.setdefault(*POLARS)  # whoever set it knows better; processes that this one starts have it, too
    with suppress(OSError, TypeError):  # no library of C to ask
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):  # the `mallopt` of others means something else
            libc.mallopt(M_MMAP_THRESHOLD, LARGEST)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT)
