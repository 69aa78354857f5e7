"""The store that the environment names, and what its errors mean for whoever wants to use it."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from mmer_ray.errors import PreflightError
from mmer_ray.sources.s3 import deltalake_options, explained, file_system, store_errors, store_settings

CONFIG = """
[profile archive]
region = eu-north-1
endpoint_url = http://archive.example:9000
"""
CREDENTIALS = """
[archive]
aws_access_key_id = archive-key
aws_secret_access_key = archive-secret
"""


def test_s3fs_and_deltalake_are_given_the_same_store(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert deltalake_options("s3://calls/lake") == {
        "conditional_put": "etag",
        "aws_region": "eu-central-1",
        "aws_endpoint": s3_environment,
        "allow_http": "true",
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "aws_session_token": "token",
    }
    store = file_system({}, num_rounds=1)
    assert (store.endpoint_url, store.client_kwargs["region_name"]) == (s3_environment, "eu-central-1")


def test_without_an_endpoint_the_store_is_amazons_and_http_is_not_allowed(
    s3_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert {"aws_endpoint", "allow_http"}.isdisjoint(deltalake_options("s3://calls/lake"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://store.example")
    assert deltalake_options("s3://calls/lake")["allow_http"] == "false"


def test_a_profile_names_region_endpoint_and_credentials(
    s3_environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    for name, text in {"AWS_CONFIG_FILE": CONFIG, "AWS_SHARED_CREDENTIALS_FILE": CREDENTIALS}.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_PROFILE", "archive")
    found = store_settings()
    assert (found.endpoint_url, found.region) == ("http://archive.example:9000", "eu-north-1")
    assert found.key == ("archive-key", "archive-secret", None)
    assert "archive-secret" not in repr(found)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(PreflightError, match=r"no credentials for bucket 'calls'.*nobody.*AWS_PROFILE"):
        deltalake_options("s3://calls/lake")


def refusal(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "no credentials for bucket 'calls'.*set AWS_ACCESS_KEY_ID"),
        (refusal("InvalidAccessKeyId", 403), "refuses the credentials for bucket 'calls'.*set AWS_ACCESS_KEY_ID"),
        (refusal("ExpiredToken", 400), "refuses the credentials for bucket 'calls'.*ExpiredToken"),
        (refusal("AccessDenied", 403), "may not use bucket 'calls'.*put and delete its objects"),
        (refusal("403", 403), "may not use bucket 'calls'"),
        (refusal("NoSuchBucket", 404), "no such bucket: 'calls'; make it"),
        (refusal("PermanentRedirect", 301), "bucket 'calls' lies in another region than us-east-1; set AWS_REGION"),
        (refusal("RequestTimeTooSkewed", 403), "clock is wrong"),
        (TimeoutError("timed out"), "did not answer: timed out; check AWS_ENDPOINT_URL"),
    ],
)
def test_an_error_names_the_bucket_and_the_remedy(error: Exception, said: str, s3_environment: str) -> None:
    with pytest.raises(PreflightError, match=f"s3://calls/lake.*{said}"), store_errors("s3://calls/lake"):
        raise error


def test_s3fs_errors_are_read_by_the_answer_behind_them(bucket: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        file_system({}, num_rounds=1).call_s3("get_object", Bucket="nobody-has-it", Key="x")
    assert "no such bucket: 'nobody-has-it'" in explained("s3://nobody-has-it/x", caught.value)
    boto3.client("s3").put_object(Bucket=bucket, Key="x", Body=b"1")
    assert file_system({}, num_rounds=1).cat_file(f"{bucket}/x") == b"1"
