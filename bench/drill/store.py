"""Where a drill's lake is: a folder, or a bucket of an S3 server that is started for it or named in the environment."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.settings import Settings

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Store:
    """An S3 server: its address and a user's key and secret."""

    endpoint: str
    key: str
    secret: str

    def bucket(self) -> str:
        """Make a bucket and give its name."""
        import boto3

        name = f"shopsphere-{uuid.uuid4()}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def settings(self, var_dir: Path, root: str, **others: object) -> Settings:
        """Settings of a lake at an s3:// address of the server."""
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return Settings(**({"var_dir": var_dir, "lake_root": root, "aws_endpoint_url": self.endpoint} | keys | others))


@contextmanager
def process(*command: str, **environment: str) -> Iterator[str]:
    """Run Python until the end of the block; gives the first line that it prints."""
    running = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
    )
    assert running.stdin and running.stdout
    try:
        yield running.stdout.readline().strip()
    finally:
        running.stdin.close()
        running.stdout.close()
        running.kill()
        running.wait()


@contextmanager
def s3_store(**environment: str) -> Iterator[Store]:
    """The server at SHOPSPHERE_TEST_S3_ENDPOINT, else moto's, in a process of its own.

    deltalake holds Python's lock while it waits for an answer, so that a server in the same process would hang.
    """
    endpoint = os.environ.get("SHOPSPHERE_TEST_S3_ENDPOINT")
    if endpoint and not environment:
        key, secret = (
            os.environ.get(f"SHOPSPHERE_TEST_S3_{ours}") or os.environ[aws]
            for ours, aws in (("ACCESS_KEY", "AWS_ACCESS_KEY_ID"), ("SECRET_KEY", "AWS_SECRET_ACCESS_KEY"))
        )
        yield Store(endpoint, key, secret)
        return
    with process("-c", SERVER, **environment) as address:
        yield Store(address, "drill", "moto does not look at it")
