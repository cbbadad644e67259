"""Health check of the services in compose: exits 0 when the address answers 200 (slim images have no curl)."""

import sys
import urllib.request

if __name__ == "__main__":
    with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:  # noqa: S310 (an address on the container's loopback)
        sys.exit(answer.status != 200)
