"""Credentials from AWS's own files, found once and handed down, so that every library uses the same ones."""

from dataclasses import dataclass

from lakehouse.errors import ConfigurationError

REFRESHED = ("iam-role", "container-role", "assume-role-with-web-identity")
"""Ways to get credentials that expire while a process runs: deltalake, Polars and s3fs each renew them themselves."""


@dataclass(frozen=True)
class Credentials:
    """An access key and its secret, which `repr` does not show."""

    key: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


def from_files(profile: str = "") -> Credentials | None:
    """The credentials of a profile in `~/.aws`, or where AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE point.

    None where there are none, or where they are of a kind that the libraries renew themselves.

    Raises:
        ConfigurationError: the profile does not exist, or cannot be used.
    """
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session(profile=profile or None)
        provider = session.get_component("credential_provider")
        for name in REFRESHED:
            provider.remove(name)
        found = provider.load_credentials()
        frozen = found and found.get_frozen_credentials()
    except BotoCoreError as error:
        named = f" of the profile {profile!r}" if profile else ""
        raise ConfigurationError(f"no AWS credentials{named}: {error}; see docs/settings.md") from error
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "") if frozen else None
