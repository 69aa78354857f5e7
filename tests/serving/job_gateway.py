"""A gateway with the routes of jobs alone, over cheap scorers. As a program: one whose models never answer."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.responses import Response

from mmer_ray.records import Expected
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving import job_table
from mmer_ray.serving.api_errors import invalid
from mmer_ray.serving.audio_url import AudioUrls
from mmer_ray.serving.ended import Ended
from mmer_ray.serving.exchange import refusal_of
from mmer_ray.serving.idempotency import Idempotency
from mmer_ray.serving.interface import Asked, KnownSpeaker
from mmer_ray.serving.jobs import Jobs
from mmer_ray.serving.jobs_route import jobs_router, queued
from mmer_ray.serving.key_file import KeyFile
from mmer_ray.serving.state_database import StateDatabase
from mmer_ray.serving.upload import Form
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.keyed_app import bearer, keyed
from tests.serving.sounds import wav

END_S = 20.0


@dataclass
class JobGateway:
    """One gateway; several may have the same state folder."""

    state: Path
    options: ServeOptions = field(default_factory=ServeOptions)
    scorers: CheapScorers = field(default_factory=CheapScorers)
    ended: list[Ended] = field(default_factory=list)
    address: str = ""
    key: str = ""
    answers: bytes = b"cheap"
    """What the answers hang on."""

    def __post_init__(self) -> None:
        self.keys = KeyFile(self.state / "keys.json")
        self.database = StateDatabase(self.state)
        self.audio_urls = AudioUrls(self.options)
        self.idempotency = Idempotency(self.database, self.options)
        on_end = [self.ended.append]
        self.jobs = Jobs(
            self.state, self.database, self.options, self.scorers, self.analyse, on_end, answers=self.answers
        )

    async def analyse(self, asked: Asked) -> dict[str, Any]:
        """A document such as the endpoint's."""
        scored = await self.scorers.score(asked)
        if scored.failure is not None:
            raise refusal_of(scored.failure, self.options.retry_after_s)
        assert scored.audio is not None
        recording = {"duration_s": scored.audio.duration_s}
        return {
            "schema": "mmer.analysis/1",
            "recording": recording,
            "text": " ".join(one.text for one in scored.utterances),
        }

    async def asked_of(self, form: Form) -> Asked:
        """The form of an analysis, in short."""
        files = [file for file in form.files if file.field == "file"]
        if len(files) != 1:
            raise invalid("file", "one file is needed")
        languages = tuple(text for name, text in form.fields if name == "languages[]")
        speakers = tuple(KnownSpeaker(text, b"a voice") for name, text in form.fields if name == "speaker")
        return Asked(files[0].sound, Expected(languages), speakers)

    def app(self) -> Any:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            await self.jobs.start()
            yield
            await self.jobs.stop()

        app = FastAPI(lifespan=lifespan)
        app.include_router(jobs_router(self, self.asked_of))

        @app.post("/v1/audio/analyses")
        async def analyse(request: Request) -> Response:
            return await queued(self, request, self.asked_of)

        return keyed(app, self.keys, self.options)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request with a key; this gateway's `key` unless another is given."""
        headers = bearer(options.pop("key", self.key)) | options.pop("headers", {})
        return httpx.request(method, self.address + path, headers=headers, timeout=30, **options)

    def hand_in(self, seconds: float = 1.0, path: str = "/v1/jobs", **options: Any) -> httpx.Response:
        """Hand in a WAV of this length."""
        return self.ask("POST", path, files={"file": ("call.wav", wav(seconds))}, **options)

    def submitted(self, seconds: float = 1.0, **options: Any) -> str:
        """The id of a job that was handed in."""
        answer = self.hand_in(seconds, **options)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str, **options: Any) -> dict[str, Any]:
        answer = self.ask("GET", f"/v1/jobs/{job_id}", **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def job_once(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job as soon as it has one of these statuses."""
        deadline = time.monotonic() + END_S
        while (job := self.job(job_id))["status"] not in statuses:
            assert time.monotonic() < deadline, f"the job stays {job['status']}"
            time.sleep(0.05)
        return job

    def num_sounds(self) -> int:
        return len(list(self.jobs.folder.iterdir()))


if __name__ == "__main__":
    import uvicorn

    job_table.CLAIM_S = float(sys.argv[3])
    gateway = JobGateway(Path(sys.argv[1]), scorers=CheapScorers(delay_s=1_000.0))
    uvicorn.run(gateway.app(), port=int(sys.argv[2]), log_level="error")
