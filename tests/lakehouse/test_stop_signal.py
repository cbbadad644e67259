"""A process that waits for its end, and is told to by signals at any moment."""

import signal
import subprocess
import sys

WAITS = """
import signal
from lakehouse.stop_signal import StopSignal

stop = StopSignal(signal.SIGTERM, signal.SIGINT)
print("waits", flush=True)
while not stop.wait(0.001):
    pass
print(stop.wait(), flush=True)
"""


def test_signals_in_quick_succession_end_it():
    """A handler that takes a lock would wait for itself: 20 processes with 40 signals each."""
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "waits\n"
            for number in range(40):
                process.send_signal((signal.SIGINT, signal.SIGTERM)[number % 2])
            out, _ = process.communicate(timeout=20)
            assert out == "True\n"


def test_it_waits_no_longer_than_it_is_told():
    """And a signal that came is remembered."""
    script = WAITS.replace("while not stop.wait(0.001):", "while stop.wait(0.01):").replace("stop.wait(), ", "'none', ")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "waits\nnone\n"
