"""Waiting for the signals that end a process, without the locks that a signal handler must not take."""

import signal
from queue import Empty, SimpleQueue


class StopSignal:
    """Whether one of some signals has come.

    A handler interrupts the very thread that waits, and a second signal interrupts the handler: `threading.Event` then
    waits for a lock that its own thread holds. A SimpleQueue may be put into at any moment.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        """From now on these signals mean: stop."""
        self._came: SimpleQueue[int] = SimpleQueue()
        self._told = False
        for number in numbers:
            signal.signal(number, lambda got, _: self._came.put(got))

    def wait(self, seconds: float | None = None) -> bool:
        """Wait so long, or until a signal comes; whether one has come by now."""
        if not self._told:
            try:
                self._came.get(timeout=seconds)
                self._told = True
            except Empty:
                pass
        return self._told
