"""Keys for S3 from the environment, `.env`, secret files or AWS's files; one answer for every library."""

import pytest

from lakehouse.errors import ConfigurationError
from lakehouse.settings import Settings

GIVEN = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch, tmp_path):
    """None in the environment, and AWS's files in an empty folder."""
    for name in (*GIVEN, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def given(monkeypatch, tmp_path, way):
    """Put the keys where that way looks for them."""
    if way == "environment":
        [monkeypatch.setenv(name, value) for name, value in GIVEN.items()]
    elif way == ".env":
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in GIVEN.items()))
    elif way == "secret files":
        monkeypatch.setenv("SHOPSPHERE_SECRETS_DIR", str(tmp_path))
        [(tmp_path / name).write_text(value) for name, value in GIVEN.items()]
    else:
        keys = "aws_access_key_id = key\naws_secret_access_key = secret\n"
        (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = x\n[shop]\n{keys}")
        monkeypatch.setenv("AWS_PROFILE", "shop")


@pytest.mark.parametrize("way", ["environment", ".env", "secret files", "profile"])
def test_keys_are_found(monkeypatch, tmp_path, way):
    """Wherever they are, deltalake, Polars and s3fs are given the same ones, and no text of them shows the secret."""
    given(monkeypatch, tmp_path, way)
    settings = Settings(lake_root="s3://bucket/lake")
    assert (settings.credentials.key, settings.credentials.secret) == ("key", "secret")
    options = (settings.storage_options, settings.scan_options)
    assert all(each["AWS_SECRET_ACCESS_KEY"] == "secret" for each in options)
    assert settings.s3fs_options["secret"] == "secret"
    assert "secret" not in repr(settings.credentials) + repr(settings).replace("aws_secret", "")


def test_without_keys_the_libraries_look_for_a_role():
    """No keys at all: none are handed down."""
    assert "AWS_ACCESS_KEY_ID" not in Settings(lake_root="s3://bucket/lake").storage_options


@pytest.mark.parametrize(("variable", "value"), [("AWS_PROFILE", "unknown"), ("SHOPSPHERE_SECRETS_DIR", "/nowhere")])
def test_a_wrong_place_for_keys_is_one_error(monkeypatch, variable, value):
    """It names what was looked for."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=value):
        Settings(lake_root="s3://bucket/lake").storage_options  # noqa: B018
