"""The S3 store: its settings from the usual environment, clients made with them, and what its errors mean.

    AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL    a store other than Amazon's
    AWS_REGION, AWS_DEFAULT_REGION
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
    AWS_PROFILE                              a section of ~/.aws/config and ~/.aws/credentials with any of these

botocore resolves them, once for all libraries: s3fs, deltalake and the lease's client reach the same store. Credentials
that end (of a role, an instance, a pod) are renewed by each library on its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mmer_ray.errors import PreflightError

DEFAULT_REGION = "us-east-1"
"""Stores other than Amazon's take any; a signature needs one."""

REMEDY = "check AWS_ENDPOINT_URL, the network and the credentials (AWS_PROFILE or AWS_ACCESS_KEY_ID)"
_CREDENTIALS_REMEDY = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to credentials that are valid"
_REFUSED_CREDENTIALS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)
_OTHER_REGION = frozenset({"PermanentRedirect", "301", "AuthorizationHeaderMalformed"})


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the store is and who asks."""

    endpoint_url: str | None
    """None: Amazon's."""
    region: str
    key: tuple[str, str, str | None] | None = field(repr=False)
    """Access key, secret and session token; None where they end and are renewed, or where there are none."""

    @property
    def deltalake_options(self) -> dict[str, str]:
        """The `storage_options` of deltalake. It tries requests again on its own: 10 times, for at most 3 minutes."""
        options = {"conditional_put": "etag", "aws_region": self.region}
        if self.endpoint_url is not None:
            options["aws_endpoint"] = self.endpoint_url
            options["allow_http"] = str(self.endpoint_url.startswith("http://")).lower()
        if self.key is not None:
            names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
            options |= {name: value for name, value in zip(names, self.key, strict=True) if value}
        return options


def store_settings() -> StoreSettings:
    """The settings that the environment gives now. Raises botocore's `ProfileNotFound`."""
    return _settings_of(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))))


def deltalake_options(address: str) -> dict[str, str]:
    """`StoreSettings.deltalake_options` for an address. Raises `PreflightError`."""
    with store_errors(address):
        return store_settings().deltalake_options


@lru_cache(maxsize=8)
def _settings_of(environment: tuple[tuple[str, str], ...]) -> StoreSettings:
    from botocore.configprovider import ConfiguredEndpointProvider
    from botocore.credentials import RefreshableCredentials
    from botocore.session import Session

    session = Session()
    endpoint = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "s3").provide()
    # botocore itself knows the second variable alone.
    region = dict(environment).get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
    found = session.get_credentials()
    is_lasting = found is not None and not isinstance(found, RefreshableCredentials)
    return StoreSettings(endpoint, region, (found.access_key, found.secret_key, found.token) if is_lasting else None)


def file_system(config: Mapping[str, Any], num_rounds: int, **arguments: Any) -> Any:
    """s3fs on the store; unless asked for, without a cache of listings, which would hide changes.

    `config` is botocore's. s3fs repeats what botocore has given up `num_rounds` times in all, and a request whose body
    broke off. One instance serves all callers with the same arguments.
    """
    import s3fs

    settings = store_settings()
    credentials = dict(zip(("key", "secret", "token"), settings.key or (), strict=False))
    store = s3fs.S3FileSystem(
        **credentials,
        endpoint_url=settings.endpoint_url,
        client_kwargs={"region_name": settings.region},
        config_kwargs=dict(config),
        **{"use_listings_cache": False, **arguments},
    )
    store.retries = num_rounds
    return store


def client(config: Mapping[str, Any]) -> Any:
    """A client of botocore's, for requests with conditions. For all threads."""
    from botocore.config import Config
    from botocore.session import Session

    settings = store_settings()
    return Session().create_client(
        "s3", endpoint_url=settings.endpoint_url, region_name=settings.region, config=Config(**config)
    )


def bucket_and_key(address: str) -> tuple[str, str]:
    """The parts of `s3://BUCKET/KEY`; either may be empty."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def error_code(error: BaseException) -> str:
    """The store's own code of an error (`NoSuchKey`), or its HTTP status; empty for what is no answer of a store."""
    response = _response(error)
    code = response.get("Error", {}).get("Code") or http_status(error) or ""
    return str(code)


def http_status(error: BaseException) -> int | None:
    """The HTTP status of the store's answer; None for what is no answer of a store."""
    status: int | None = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _response(error: BaseException) -> Mapping[str, Any]:
    # s3fs raises OSErrors whose cause has the answer (s3fs/errors.py), botocore has it in its own.
    found: Mapping[str, Any] | None = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return found or {}


def failures() -> tuple[type[Exception], ...]:
    """What s3fs and botocore raise for a store that refuses or fails."""
    from botocore.exceptions import BotoCoreError, ClientError
    from s3fs.core import S3_RETRYABLE_ERRORS

    return (OSError, BotoCoreError, ClientError, *S3_RETRYABLE_ERRORS)


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Raise `PreflightError`, naming the bucket and the remedy, for what says that the store cannot be used at all."""
    try:
        yield
    except failures() as exc:
        raise PreflightError(explained(address, exc)) from exc


def explained(address: str, error: BaseException) -> str:
    """What an error of the store means for whoever wants to use this address, and what to do."""
    from botocore import exceptions as botocore

    missing = (
        *(botocore.NoCredentialsError, botocore.PartialCredentialsError, botocore.CredentialRetrievalError),
        *(botocore.ProfileNotFound, botocore.TokenRetrievalError, botocore.SSOError),
    )
    bucket, code = bucket_and_key(address)[0], error_code(error)
    if isinstance(error, missing):
        return f"{address}: no credentials for bucket {bucket!r}: {error}; {_CREDENTIALS_REMEDY}"
    if code in _REFUSED_CREDENTIALS:
        return f"{address}: the store refuses the credentials for bucket {bucket!r} ({code}); {_CREDENTIALS_REMEDY}"
    if code == "NoSuchBucket":
        return f"{address}: no such bucket: {bucket!r}; make it, or check its name, AWS_ENDPOINT_URL and AWS_REGION"
    if code == "RequestTimeTooSkewed":
        return f"{address}: the store refuses requests for bucket {bucket!r}: this machine's clock is wrong; set it"
    if code in _OTHER_REGION:
        return f"{address}: bucket {bucket!r} lies in another region than {store_settings().region}; set AWS_REGION"
    if isinstance(error, PermissionError) or http_status(error) in (401, 403):
        return (
            f"{address}: these credentials may not use bucket {bucket!r} ({code or error}); check that they are valid "
            "and may list it, and get, put and delete its objects"
        )
    if isinstance(error, botocore.ParamValidationError) or code == "InvalidBucketName":
        return f"{address} is no address of a store: {error}; write s3://BUCKET/PREFIX"
    return f"{address}: the store did not answer: {error}; {REMEDY}"
