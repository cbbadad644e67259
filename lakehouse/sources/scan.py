"""One pass over a raw file's bytes: names its content, and tells whether every line can be split at its commas."""

import codecs
import csv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

CHUNK = 1 << 22
BINARY = "binary"
"""As a file's encoding: it is no text."""


@dataclass(frozen=True)
class Shape:
    """What a pass over the bytes tells.

    digest: names the content; header: the column names; tidy: every line has as many fields as the header, and no
    quote, NUL or byte that is not UTF-8 is in it; encoding: what the file is instead of UTF-8, empty where it is UTF-8.
    """

    digest: str
    header: tuple[str, ...]
    tidy: bool
    encoding: str = ""


def examine(stream: BinaryIO, *, copy_to: Path | None = None) -> Shape:
    """Read a stream to its end, copying it where asked, and tell its shape."""
    header = stream.readline(CHUNK)
    if header.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Shape("", (), tidy=False, encoding="UTF-16")
    try:
        columns = _columns(header)
    except (UnicodeDecodeError, csv.Error):
        return Shape("", (), tidy=False, encoding=BINARY)
    if b"\0" in header:
        return Shape("", (), tidy=False, encoding=BINARY)
    counts = _Counts(header)
    digest = blake2b(header, digest_size=16)
    if copy_to:
        copy_to.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool, (copy_to or Path("/dev/null")).open("wb") as copy:
        copy.write(header)
        while chunk := stream.read(CHUNK):
            hashed = pool.submit(digest.update, chunk)  # hashing releases the interpreter
            if copy_to:
                copy.write(chunk)
            counts.add(chunk)
            hashed.result()
    return Shape(digest.hexdigest(), columns, tidy=counts.tidy(len(columns)))


def _columns(header: bytes) -> tuple[str, ...]:
    text = header.decode("utf-8-sig")
    return tuple(name.strip() for name in next(csv.reader([text]), []))


class _Counts:
    """Commas and lines; a line that is too long is refused by the parser, so that a right sum means no short line."""

    def __init__(self, header: bytes) -> None:
        self._commas = self._lines = 0
        self._odd = b'"' in header or b"\0" in header
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._last = b"\n"

    def add(self, chunk: bytes) -> None:
        codes = np.frombuffer(chunk, np.uint8)
        self._commas += int(np.count_nonzero(codes == ord(",")))
        self._lines += int(np.count_nonzero(codes == ord("\n")))
        self._odd = self._odd or b'"' in chunk or b"\0" in chunk
        self._last = chunk[-1:]
        if not chunk.isascii() or self._decoder.getstate()[0]:
            self._decode(chunk)

    def _decode(self, chunk: bytes, *, final: bool = False) -> None:
        try:
            self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            self._odd = True
            self._decoder.reset()

    def tidy(self, width: int) -> bool:
        """Whether every line can be split at its commas into `width` fields."""
        self._decode(b"", final=True)
        lines = self._lines + (self._last != b"\n")
        return not self._odd and self._commas == lines * (width - 1) and width > 1
