"""The whole endpoint on a real server, over scorers of one's choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import DefaultHttpxClient, OpenAI

from mmer_ray.profiles import Profile, load_profile
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.app import build_app
from mmer_ray.serving.interface import Scorers
from mmer_ray.serving.key_file import KeyFile, key_file_path
from mmer_ray.serving.service import Service
from tests.serving.http_server import serving


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint and a key that it takes."""

    address: str
    service: Service
    key: str

    @contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """A plain client with the key."""
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        with httpx.Client(base_url=self.address, headers=sent, timeout=60, trust_env=False) as client:
            yield client

    @contextmanager
    def openai(self, key: str | None = None) -> Iterator[OpenAI]:
        """OpenAI's client, which checks answers against its types and tries nothing twice."""
        with OpenAI(
            api_key=key or self.key,
            base_url=f"{self.address}/v1",
            http_client=DefaultHttpxClient(trust_env=False),
            max_retries=0,
            timeout=60,
            _strict_response_validation=True,
        ) as client:
            yield client


def profile_in(state: Path, name: str = "synthetic", **options: Any) -> Profile:
    """A profile with its own state folder and some settings of `[serve]`."""
    return load_profile(name).model_copy(update={"serve": ServeOptions(state=str(state), **options)})


@contextmanager
def endpoint(scorers: Scorers, state: Path, **options: Any) -> Iterator[Endpoint]:
    """Serve everything with one key; `options` are settings of `[serve]`."""
    profile = profile_in(state, **options)
    key = KeyFile(key_file_path(profile.serve)).add("tests")
    with Service.open(profile, scorers) as service, serving(build_app(service)) as address:
        yield Endpoint(address, service, key)
