"""Addresses in settings: what cannot be meant is one line, and no folder of that name."""

import pytest

from lakehouse.errors import ConfigurationError, StorageError
from lakehouse.settings import Settings
from lakehouse.storage import Lake


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


def test_a_refused_address_keeps_its_password():
    """It may hold one."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(AWS_ENDPOINT_URL="ftp://me:secret@store")
    assert "secret" not in str(caught.value)


def test_a_panic_of_the_libraries_is_one_line(tmp_path):
    """What gets past the settings is a failure of the storage all the same."""
    settings = Settings(var_dir=tmp_path, lake_root="s3://b/y", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106 (no secret)
    with pytest.raises(StorageError, match=r"cannot reach or write the lake at s3://b/y: .*AWS_ENDPOINT_URL"):
        Lake(settings.model_copy(update={"aws_endpoint_url": "127.0.0.1:9"})).exists("t")
