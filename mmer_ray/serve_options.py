"""How the online endpoint answers: the table `[serve]` of a profile. Nothing here changes an answer."""

from __future__ import annotations

from pydantic import Field

from mmer_ray.options import Options


class ServeOptions(Options):
    host: str = "127.0.0.1"
    """The address that is listened on. Another one than loopback needs keys."""
    port: int = Field(8000, ge=1, le=65535)
    state: str = ".mmer-serve"
    """Folder of keys, job table, idempotency records, sounds of jobs and of live calls, and the audit log. On a disk of
    the gateway's own host, the cluster's head: SQLite's database in it must not lie on a network file system. Replicas
    on other nodes read its folders `sounds` and `streams`, which are then to be shared."""
    keys: str = ""
    """The file of hashed keys that `mmer keys` writes; empty: `keys.json` in `state`."""

    min_replicas: int = Field(1, ge=1)
    """Fewest model replicas."""
    max_replicas: int = Field(0, ge=0)
    """Most model replicas; 0: as many as `min_replicas`."""
    threads_per_replica: int = Field(0, ge=0)
    """Batches that a replica works on side by side; 0: one per CPU core that it may use."""
    max_surge_percent: int = Field(25, ge=0, le=100)
    """Replicas above the wanted number while a new version is rolled out, in percent."""
    max_wait_s: float = Field(0.02, ge=0)
    """Longest time that a batch of online clips waits to be filled (`run.max_wait_s` of the endpoint)."""

    max_body_bytes: int = Field(25 << 20, gt=0)
    """Larger bodies are refused as they arrive: 413."""
    max_job_body_bytes: int = Field(200 << 20, gt=0)
    """The same for bodies of jobs, which go to disk."""
    max_field_bytes: int = Field(64 << 10, gt=0)
    """Largest form field that is no file."""
    body_silence_s: float = Field(10.0, gt=0)
    """A body that sends nothing for this long is given up: 408."""
    body_timeout_s: float = Field(60.0, gt=0)
    """Longest time that a body may take to arrive: 408."""
    max_uploads: int = Field(1_000, gt=0)
    """Bodies that may be arriving at a time; beyond it 503."""
    max_audio_s: float = Field(600.0, gt=0)
    """Longer audio is refused where the answer is waited for (413): it is for a job."""
    max_decoded_bytes: int = Field(256 << 20, gt=0)
    """Cap on what a clip decodes to, as `decode.max_decoded_bytes`, where the answer is waited for."""
    request_timeout_s: float = Field(300.0, gt=0)
    """An answer that takes longer is given up: 503. The final message of a live call has no such limit."""
    max_in_flight: int = Field(128, gt=0)
    """Requests that are scored or wait for it, over all keys; beyond it 503. As many more may wait for the answer of an
    equal one with their `Idempotency-Key`."""
    max_in_flight_per_key: int = Field(64, gt=0)
    """The same of one key; beyond it 429."""
    max_queued_s: float = Field(3_600.0, gt=0)
    """Seconds of audio that are scored or wait for it; beyond it 503."""
    retry_after_s: int = Field(2, ge=1)
    """What a refusal for want of room says in `Retry-After`."""
    drain_s: float = Field(30.0, gt=0)
    """What is being answered at a stop gets this long to end; live calls are heard for half of it. Where
    `request_timeout_s` is longer, what takes longer than this is cut off, and is to be sent again."""

    max_jobs: int = Field(1_000, gt=0)
    """Jobs that wait or run, over all keys; beyond it 503."""
    max_jobs_per_key: int = Field(250, gt=0)
    """The same of one key; beyond it 429."""
    max_jobs_bytes: int = Field(20 << 30, gt=0)
    """What the sounds of jobs that wait or run may take on the disk; beyond it 503."""
    max_running_jobs: int = Field(1, gt=0)
    """Jobs that are scored at a time, beside what is waited for."""
    keep_jobs_s: float = Field(86_400.0, gt=0)
    """Ended jobs, and the answers kept for an `Idempotency-Key`, are forgotten after this time."""

    audio_url_hosts: tuple[str, ...] = ()
    """Hosts that audio may be fetched from by https; empty: no audio by URL."""
    max_streams: int = Field(32, gt=0)
    """Live calls (WebSocket) at a time, over all keys; beyond it 503."""
    max_streams_per_key: int = Field(16, gt=0)
    """The same of one key; beyond it 429."""
    max_stream_s: float = Field(3_600.0, gt=0)
    """Longest live call."""
    stream_silence_s: float = Field(30.0, gt=0)
    """A live call whose client sends nothing, or takes nothing, for this long is given up."""
