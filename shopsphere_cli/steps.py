"""Progress of long work on the terminal: numbered steps, what happens in them, and how long they took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    """Prints each step's title, its progress sentences and its time; `total_seconds` since it was made."""

    def __init__(self, console: Console, *, count: int) -> None:
        self._console = console
        self._count = count
        self._started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @property
    def total_seconds(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step and time it."""
        self._console.print(f"\n[bold]\\[{len(self.seconds) + 1}/{self._count}] {title}[/bold]")
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        self._console.print(f"  [dim]done in {self.seconds[title]:.1f} s[/dim]")

    def say(self, sentence: str) -> None:
        """Print a sentence of the running step."""
        self._console.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)
