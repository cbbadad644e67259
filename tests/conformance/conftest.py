"""The server that is held to the contract: one of our own on a small shop, or any at SHOPSPHERE_TEST_SERVER."""

import json
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from contract import CLV, RECOMMENDER, told

from grpc_server.server import ServerAddress, running_server
from grpc_server.settings import ServerSettings
from lakehouse.storage import Lake
from training.registry import Registry
from training.train import register
from training.use_cases import USE_CASES

VERSIONS = "versions.json"
SERVER, REST = "SHOPSPHERE_TEST_SERVER", "SHOPSPHERE_TEST_REST"


@dataclass(frozen=True)
class Shop:
    """Ids that the server knows: customers with and without a purchase, buyers, products."""

    customers: list[str]
    buyers: list[str]
    products: list[str]

    def ids(self, key: str) -> list[str]:
        """The known ids of that name."""
        return self.products if key == "product_id" else self.buyers


@dataclass(frozen=True)
class Registered:
    """A small shop's lake and a fitted model of each use case, registered but no champion yet."""

    folder: Path
    copies: Path

    @property
    def versions(self) -> dict[str, int]:
        """The version of each use case."""
        found: dict[str, int] = json.loads((self.folder / VERSIONS).read_text())
        return found

    def settings(self, name: str) -> ServerSettings:
        """The settings of a server with a registry of its own, a copy, which `name` tells from the others."""
        var = self.copies / name
        if not var.exists():
            shutil.copytree(self.folder, var)
        return _settings(var)


def _settings(var: Path) -> ServerSettings:
    return ServerSettings(
        var_dir=var, lake_root="", mlflow_tracking_uri="", mlflow_artifact_root="", grpc_port=0, rest_port=0
    )


@pytest.fixture(scope="session")
def registered(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    made_once: Callable[[str, Callable[[Path], object]], Path],
) -> Registered:
    """Real models, fitted on the small shop without being examined: what they are worth is not the question here."""
    if SERVER in os.environ:
        pytest.skip(f"needs a server of its own, and {SERVER} names another one")
    tiny_lake: Lake = request.getfixturevalue("tiny_lake")

    def make(folder: Path) -> None:
        shutil.copytree(tiny_lake.root, folder / "lake")
        registry, versions = Registry(_settings(folder)), {}
        for use_case in USE_CASES:
            data = use_case.dataset(tiny_lake)
            versions[use_case.name] = register(registry, use_case, use_case.fit(data), data=data, metrics={}).version
        (folder / VERSIONS).write_text(json.dumps(versions))

    return Registered(made_once("registered", make), tmp_path_factory.mktemp("registered"))


@pytest.fixture(scope="session")
def own_settings(registered: Registered) -> ServerSettings:
    """The settings of a server of our own with all five champions."""
    settings = registered.settings("full")
    for name, version in registered.versions.items():
        Registry(settings).set_champion(name, version)
    return settings


@pytest.fixture(scope="session")
def own_server(own_settings: ServerSettings) -> Iterator[ServerAddress]:
    """A server of our own."""
    with running_server(own_settings) as address:
        yield address


@pytest.fixture
def new_in_log(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Reads what a server of our own has logged since the test began; nothing of another one."""
    if SERVER in os.environ:
        return lambda: ""
    path = request.getfixturevalue("own_settings").serving_dir("live") / "server.log"
    before = len(path.read_text())
    return lambda: path.read_text()[before:]


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest) -> str:
    """host:port of the server under test."""
    return os.environ.get(SERVER) or request.getfixturevalue("own_server").grpc


@pytest.fixture(scope="session")
def rest_address(request: pytest.FixtureRequest) -> str:
    """Base URL of the REST shim beside the server under test."""
    if SERVER not in os.environ:
        return str(request.getfixturevalue("own_server").rest)
    if REST not in os.environ:
        pytest.skip(f"needs the server's REST address in {REST}, for example http://127.0.0.1:8080")
    return os.environ[REST]


@pytest.fixture(scope="session")
def connect(address: str) -> Callable[..., AbstractContextManager[grpc.Channel]]:
    """A function that opens a channel of its own to the server under test, with gRPC's options for one."""

    def opened(**options: object) -> grpc.Channel:
        return grpc.insecure_channel(address, **options)  # type: ignore[arg-type]

    return opened


@pytest.fixture(scope="session")
def channel(connect: Callable[..., AbstractContextManager[grpc.Channel]]) -> Iterator[grpc.Channel]:
    """A channel that the tests share."""
    with connect() as opened:
        yield opened


@pytest.fixture(scope="session")
def shop(channel: grpc.Channel) -> Shop:
    """Found by asking, so that it holds for any server: customers are looked for among the ids 1 to 1,000."""
    results = CLV.batch(channel, customer_ids=[str(number) for number in range(1, 1001)]).results
    customers = [result.customer_id for result in results if not result.HasField("error")]
    answers = RECOMMENDER.batch(channel, customer_ids=customers, k=1).results
    buyers = [answer.customer_id for answer in answers if "cold_start" not in told(answer)["warnings"]]
    products = [item.product_id for item in RECOMMENDER.unary(channel, customer_id=buyers[0], k=1000).items]
    assert len(buyers) > 5, "the server under test must know some customers with ids from 1 to 1,000"
    return Shop(customers, buyers, products)


@pytest.fixture(scope="session")
def in_flight(rest_address: str) -> Callable[[], float]:
    """Reads how many calls the server says to be answering."""

    def read() -> float:
        with urllib.request.urlopen(f"{rest_address}/metrics", timeout=30) as response:
            lines = response.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("shopsphere_in_flight "))

    return read
