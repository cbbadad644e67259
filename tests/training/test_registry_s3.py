"""The registry with its artifacts on an S3-compatible store."""

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from training.constant import ConstantModel
from training.registry import Registry

WORD = "any, moto does not look at it"


@pytest.fixture
def s3(monkeypatch):
    """A store with the bucket `mlflow`; gives its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name in ("MLFLOW_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key=WORD
    )
    client.create_bucket(Bucket="mlflow")
    yield address
    client.close()
    server.stop()


def test_models_are_logged_promoted_and_downloaded_on_s3(s3, settings, tmp_path):
    """With MLFLOW_ARTIFACT_ROOT=s3://mlflow nothing of a model stays on the local disk, and it loads from there."""
    s3_settings = settings.model_copy(
        update={
            "mlflow_artifact_root": "s3://mlflow",
            "aws_endpoint_url": s3,
            "aws_access_key_id": SecretStr("key"),
            "aws_secret_access_key": SecretStr(WORD),
        }
    )
    registry = Registry(s3_settings)
    model = ConstantModel("clv", output="clv_180d", value=3.5, defaults={"monetary": 1.0})
    example = ({"monetary": np.array([2.0])}, {})

    logged = registry.log("clv", model, example=example, metrics={"mae": 1.0}, tags={})
    registry.set_champion("clv", logged.version)
    champion = registry.champion("clv")

    assert registry.load(champion).predict(*example)["clv_180d"].tolist() == [3.5]
    assert (registry.download(champion, tmp_path / "download") / "golden.json").is_file()
    assert not (tmp_path / "mlflow" / "artifacts").exists()
