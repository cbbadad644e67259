"""The reference: a grpcio server with nothing behind it, on one core. Prints its port."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

THREADS = 8


def main() -> None:
    """Answer any method with no bytes until SIGTERM."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    server = grpc.server(ThreadPoolExecutor(THREADS))
    empty = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    server.add_registered_method_handlers("bench.Empty", {"Call": empty})  # as generated code does
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main()
