"""Addresses in settings: what cannot be meant is one line, and no folder of that name."""

import pytest

from lakehouse.errors import ConfigurationError
from lakehouse.settings import Settings


@pytest.mark.parametrize("root", ["gs://x/y", "s3:/b/y", "s3://", "s3:///y", "file:///tmp/x", "S3://b/y"])
def test_a_lake_is_in_a_folder_or_a_bucket(root):
    """Anything else that looks like an address is refused with its variable's name."""
    with pytest.raises(ConfigurationError, match=r"LAKE_ROOT: .*neither a folder nor s3://bucket"):
        Settings(LAKE_ROOT=root)


@pytest.mark.parametrize("root", ["", "lake", "/data/a:b", "./x", "s3://bucket", "s3://bucket/a/lake/"])
def test_folders_and_buckets_are_taken_as_they_are(root):
    """With or without a path in the bucket."""
    assert root == Settings(LAKE_ROOT=root).lake_root


@pytest.mark.parametrize("address", ["127.0.0.1:5597", "minio:9000", "ftp://x", "http://", "http://x:99999"])
def test_a_store_has_a_web_address(address):
    """One without a scheme would end in a panic of the libraries."""
    with pytest.raises(ConfigurationError, match=r"AWS_ENDPOINT_URL: .* write it as http://host:port"):
        Settings(AWS_ENDPOINT_URL=address)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("AWS_ENDPOINT_URL", "ftp://me:secret@store"),
        ("AWS_ENDPOINT_URL", "me:secret@store:9000"),
        ("AWS_ENDPOINT_URL", "me:se@secret@store"),
        ("LAKE_ROOT", "gs://me:secret@x/y"),
    ],
)
def test_a_refused_address_keeps_its_password(variable, address):
    """It may hold one."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(**{variable: address})
    assert "secret" not in str(caught.value)
    assert "write it as" in str(caught.value) or "neither" in str(caught.value)
