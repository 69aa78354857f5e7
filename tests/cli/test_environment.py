"""What the machine, the network and other packages do wrong is not called an internal error."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path

import deltalake.exceptions
import duckdb
import pyarrow as pa
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from mmer_ray.cli.environment import BY_ERRNO, MEMORY, explain_environment, root_cause
from mmer_ray.errors import PreflightError
from mmer_ray.profiles import load_profile
from mmer_ray.runners import job
from tests.cli.makers import Ended, process

Mmer = Callable[..., Ended]


def of_the_os(code: int, name: str | None = "/data/x") -> OSError:
    return OSError(code, "the reason", name)


@pytest.mark.parametrize(
    ("error", "name", "remedy"),
    [
        (of_the_os(errno.EACCES), "/data/x", "permission"),
        (of_the_os(errno.ENOSPC), "/data/x", "free some space"),
        (of_the_os(errno.EROFS), "/data/x", "read-only"),
        (of_the_os(errno.ENOTDIR), "/data/x", "is a file"),
        (of_the_os(errno.EMFILE), "/data/x", "ulimit -n"),
        (of_the_os(errno.EIO), "/data/x", "check that disk"),
        (ConnectionError("no cluster at 10.0.0.1"), "10.0.0.1", "check the network"),
        (MemoryError(), "out of memory", "--set run.max_actors=1"),
        (ModuleNotFoundError("No module named 's3fs'", name="s3fs"), "s3fs", "pip install s3fs"),
        (deltalake.exceptions.TableNotFoundError("no table at /l/words"), "/l/words", "restore"),
        (deltalake.exceptions.DeltaError("bad log entry"), "bad log entry", "restore"),
        (duckdb.IOException("no file part-0.parquet"), "part-0.parquet", "restore"),
        (NoCredentialsError(), "credentials", "AWS_ENDPOINT_URL"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), "127.0.0.1:9", "AWS_ENDPOINT_URL"),
    ],
)
def test_an_error_from_outside_ends_with_4_its_name_and_a_remedy(
    mmer: Mmer, monkeypatch: pytest.MonkeyPatch, error: Exception, name: str, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(job, "prepare", refuse)

    ended = mmer("plan", "somewhere", "--lake", "l")

    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("mmer: ")
    assert ended.err.count("\n") == 1
    assert name in ended.err
    assert remedy in ended.err


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        ValueError("x"),
        KeyError("x"),
        duckdb.BinderException("a column of ours is not there"),
        pa.ArrowInvalid("a row of ours does not fit"),
        deltalake.exceptions.SchemaMismatchError("a row of ours does not fit"),
        ModuleNotFoundError("No module named 'mmer_ray.oops'", name="mmer_ray.oops"),
    ],
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert explain_environment(error) is None


def ray_error(name: str, **attributes: object) -> Exception:
    """An exception as Ray makes them; importing Ray takes seconds."""
    kind = type(name, (Exception,), {"__module__": "ray.exceptions"})
    error: Exception = kind("the raylet has died")
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


def test_a_cluster_that_fails_is_named_with_the_way_around_it() -> None:
    assert "--runner inprocess" in str(explain_environment(ray_error("RaySystemError")))


def test_an_error_that_a_worker_passes_on_counts_as_itself() -> None:
    missing = PreflightError("no models")
    carrier = ray_error("UserCodeException", __cause__=ray_error("RayTaskError", cause=missing))

    assert root_cause(carrier) is missing
    assert root_cause(missing) is missing


def test_a_deleted_working_directory_is_called_that(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    child = process(f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})", "status", "--lake", "l")
    _, err = child.communicate()

    assert child.returncode == 4, err
    assert "the working directory has been deleted" in err


def test_a_lake_below_a_file_ends_with_4_and_its_name(mmer: Mmer, tmp_path: Path) -> None:
    (tmp_path / "afile").touch()

    ended = mmer("status", "--lake", tmp_path / "afile" / "lake")

    assert ended.code == 4
    assert "afile/lake" in ended.err


@pytest.mark.parametrize("address", ["gs://bucket/lake", "hdfs://host/lake", "/tmp/caf\udce9"])
def test_a_lake_that_cannot_be_opened_ends_with_4_its_name_and_what_can(mmer: Mmer, address: str) -> None:
    for words in (["status"], ["plan", "somewhere"]):
        ended = mmer(*words, "--lake", address)

        assert ended.code in (2, 4)
        assert "internal error" not in ended.err
    assert ascii(mmer("status", "--lake", address).err).count(ascii(address).strip("'")[:8])


def test_every_profile_key_that_a_remedy_sets_exists() -> None:
    settings = [setting for text in (MEMORY, *BY_ERRNO.values()) for setting in re.findall(r"--set (\S+=\d+)", text)]
    assert len(settings) >= 3
    load_profile("embedded", settings)
