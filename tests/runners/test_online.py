"""The endpoint on Ray Serve: ready, the batch job's rows, access, and what becomes of calls whose replica dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from mmer_ray.demo.truth import CALLS
from mmer_ray.errors import PreflightError, ProfileError
from mmer_ray.profiles import Profile, load_profile
from mmer_ray.runners import ray_scorers
from mmer_ray.runners.endpoint import APPLICATION, Endpoint, online, require_free
from mmer_ray.runners.online import SCORER, Progress, ReplicaBugError, Scorer, build
from mmer_ray.runners.ray_scorers import RayScorers
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.interface import Asked, Scorers, ScorersUnavailableError
from mmer_ray.serving.key_file import KeyFile, key_file_path
from tests.runners.online_drill import CheapScorer
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.parity import differences, job_rows

CALL = CALLS / "call_04_mono.opus"
DRILL = "drill"
READY_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def synthetic(state: Path, *settings: str) -> Profile:
    return load_profile("synthetic", [f'serve.state="{state}"', f"serve.port={free_port()}", *settings])


class Client(httpx.Client):
    """Asks the endpoint, with a key."""

    def __init__(self, endpoint: Endpoint, key: str) -> None:
        super().__init__(base_url=endpoint.address, timeout=60, headers={"Authorization": f"Bearer {key}"})

    def analysis(self, sound: bytes, **fields: str) -> httpx.Response:
        return self.post("/v1/audio/analyses", files={"file": ("call.opus", sound)}, data=fields)

    def ready_after(self) -> float:
        """Seconds until the endpoint is ready."""
        begun = time.monotonic()
        while self.get("/readyz").status_code != 200:
            assert time.monotonic() - begun < READY_S
            time.sleep(0.05)
        return time.monotonic() - begun


def replica_process() -> int:
    """The process of the endpoint's replica, by the name that Ray gives it."""
    (found,) = [
        int(line.parent.name)
        for line in Path("/proc").glob("[0-9]*/cmdline")
        if f":{APPLICATION}:{SCORER}".encode() in read_while_there(line)
    ]
    return found


def read_while_there(file: Path) -> bytes:
    """What a process says of itself; nothing once it has ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def endpoint(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, str]]:
    """A running endpoint and a key for it."""
    profile = synthetic(tmp_path_factory.mktemp("state"))
    key = KeyFile(key_file_path(profile.serve)).add("tests")
    with online(profile) as running:
        yield running, key


@pytest.fixture
def client(endpoint: tuple[Endpoint, str]) -> Iterator[Client]:
    with Client(*endpoint) as asking:
        yield asking


@pytest.fixture(scope="module")
def replica(endpoint: tuple[Endpoint, str]) -> Iterator[Any]:
    """The handle of a replica without models, beside the endpoint."""
    from ray import serve

    made = serve.deployment(CheapScorer).options(max_ongoing_requests=100, health_check_period_s=1.0)
    yield serve.run(made.bind(load_profile("synthetic")), name=DRILL, route_prefix=None)
    serve.delete(DRILL)


def test_it_is_ready_once_it_runs_and_says_the_requests_id_once(client: Client) -> None:
    answer = client.get("/readyz", headers={"x-request-id": "of-the-client"})

    assert answer.status_code == 200, answer.text
    assert answer.headers.get_list("x-request-id") == ["of-the-client"]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("value", [b"\xff", b"0.000001", b"?1"])
@pytest.mark.parametrize(
    "name",
    [
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve_multiplexed_model_id",
        b"x-session-id",
        b"x-request-id",
    ],
)
def test_serves_proxy_does_not_heed_what_a_stranger_tells_it(client: Client, name: bytes, value: bytes) -> None:
    del client.headers["Authorization"]
    answer = client.post("/v1/audio/analyses", content=b"a body", headers=[(name, value)])

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key"), answer.text


@pytest.mark.parametrize(
    ("given", "is_kept"), [(b"Root=1-67891233-abcdef012345678912345678", True), (b"a b", False), (b"x" * 129, False)]
)
def test_header_and_body_of_a_refusal_name_one_request_id(client: Client, given: bytes, is_kept: bool) -> None:
    answer = client.get("/nowhere", headers=[(b"x-request-id", given)])

    told = answer.headers.get_list("x-request-id")
    assert told == [answer.json()["error"]["request_id"]]
    assert (told == [given.decode()]) is is_kept


def test_an_answers_rows_are_those_of_the_batch_job(client: Client, tmp_path: Path) -> None:
    wanted = job_rows(load_profile("synthetic"), [CALL], tmp_path / "lake")[CALL.name]

    answer = client.analysis(CALL.read_bytes())

    assert answer.status_code == 200, answer.text
    rows = answer.json()["tables"]
    del rows["recordings"][0]["content_digest"]
    assert wanted["words"]
    assert differences(rows, wanted) == []


def test_without_a_valid_key_it_answers_401(endpoint: tuple[Endpoint, str]) -> None:
    with Client(endpoint[0], "mmer_wrong") as stranger:
        assert stranger.analysis(CALL.read_bytes()).status_code == 401
        del stranger.headers["Authorization"]
        assert stranger.analysis(CALL.read_bytes()).status_code == 401


def test_what_the_models_do_not_heed_is_refused_by_the_field(client: Client) -> None:
    answer = client.analysis(CALL.read_bytes(), prompt="Names: Ada, Alan.")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt"), answer.text


def test_a_second_endpoint_on_the_same_cluster_is_refused(endpoint: tuple[Endpoint, str], tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="Serve runs on this cluster already"), online(synthetic(tmp_path)):
        pass


def test_an_address_that_is_taken_is_refused_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PreflightError, match=f"127.0.0.1:{port} cannot be served: another program listens there"):
            require_free(ServeOptions(port=port))


def test_arguments_of_the_application_that_are_misspelt_are_refused() -> None:
    with pytest.raises(ProfileError, match="setings"):
        build({"profile": "synthetic", "setings": []})


def test_whoever_is_cancelled_cancels_the_replicas_work(replica: Any) -> None:
    async def give_up() -> None:
        call = asyncio.create_task(RayScorers(replica).score(Asked(b"sound")))
        while (await replica.counted.remote())["asked"] == before["asked"]:
            await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    before = replica.counted.remote().result()
    asyncio.run(give_up())
    deadline = time.monotonic() + 10
    while (now := replica.counted.remote().result())["cancelled"] == before["cancelled"]:
        assert time.monotonic() < deadline, "the replica works on"
        time.sleep(0.02)
    assert now["answered"] == before["answered"]


def test_calls_of_a_replica_that_dies_are_told_so_and_the_next_is_answered(replica: Any) -> None:
    async def outlive() -> None:
        scorers = RayScorers(replica)
        calls = [asyncio.create_task(scorers.score(Asked(b"sound"))) for _ in range(3)]
        while (counted := await replica.counted.remote())["asked"] < before["asked"] + len(calls):
            await asyncio.sleep(0.02)
        os.kill(counted["pid"], signal.SIGKILL)
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in ended] == [ScorersUnavailableError] * len(calls)
        assert (await scorers.score(Asked(b"sound"))).status == "scored", "it waits for the next replica"
        assert (await scorers.served()).profile == "cheap"

    before = replica.counted.remote().result()
    asyncio.run(outlive())


def test_what_is_served_is_not_waited_for_long_while_no_replica_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class NeverAnswered:
        """The response of a handle, as long as its deployment has no replica."""

        was_cancelled = False

        def __await__(self) -> Generator[Any, None, None]:
            return asyncio.Event().wait().__await__()

        def cancel(self) -> None:
            self.was_cancelled = True

    response = NeverAnswered()
    handle = SimpleNamespace(served=SimpleNamespace(remote=lambda: response))
    monkeypatch.setattr(ray_scorers, "READY_S", 0.05)

    with pytest.raises(ScorersUnavailableError, match="no replica of the models is ready"):
        asyncio.run(RayScorers(handle).served())
    assert response.was_cancelled


def test_a_replica_is_not_well_once_clips_wait_and_none_comes_out() -> None:
    now = [0.0]
    progress = Progress(10.0, lambda: now[0])

    with progress.watched(Asked(b"", is_job=True)):
        now[0] = 100.0
        progress.check()
    with progress.watched(Asked(b"")):
        now[0] = 109.0
        progress.check()
        with progress.watched(Asked(b"")):
            now[0] = 110.0
        now[0] = 119.0
        progress.check()
        with pytest.raises(KeyError), progress.watched(Asked(b"")):  # noqa: PT012
            now[0] = 121.0
            raise KeyError("gave up")
        with pytest.raises(RuntimeError, match="1 clips wait and none was answered for 11 s"):
            progress.check()
    progress.check()


def test_a_bug_in_a_replica_is_logged_by_class_and_place_without_its_words() -> None:
    class Quoting(Scorer):
        def load(self, profile: Profile) -> Scorers:
            return CheapScorers(answer=KeyError("my card number is 4111"))

    with pytest.raises(ReplicaBugError) as raised:
        asyncio.run(Quoting(load_profile("synthetic")).score(Asked(b"")))

    # What Serve's `logger.exception` writes, with causes and contexts.
    logged = "".join(traceback.format_exception(raised.value))
    assert "card number" not in logged
    assert "ReplicaBugError: KeyError at " in logged
    assert re.search(r"cheap_scorers\.py:\d+ score", logged)


@pytest.mark.slow
def test_a_replica_killed_under_load_costs_the_requests_that_it_held(client: Client) -> None:
    """Prints the seconds until it is ready again."""
    sound, stop = CALL.read_bytes(), threading.Event()
    statuses: list[tuple[float, int]] = []

    def ask() -> None:
        while not stop.is_set():
            statuses.append((time.monotonic(), client.analysis(sound).status_code))

    with ThreadPoolExecutor(4) as asking:
        for _ in range(4):
            asking.submit(ask)
        time.sleep(5)
        os.kill(replica_process(), signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(0.5)
        ready_s = client.ready_after() + 0.5
        time.sleep(5)
        stop.set()
    counted = Counter(status for _, status in statuses)
    print(f"ready again after {ready_s:.1f} s; {dict(counted)}")
    assert set(counted) <= {200, 503}
    assert 1 <= counted[503] <= 4, "those that it held"
    assert any(status == 200 for begun, status in statuses if begun > killed)


def answer_to_an_endless_head(port: int) -> bytes:
    """The beginning of what is answered to more of a head than is kept, whose end never comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (100 << 10))
        return connection.recv(13)


@pytest.mark.slow
def test_the_command_ends_what_it_answers_before_it_stops(tmp_path: Path) -> None:
    """On a cluster of its own. Prints the seconds of its start."""
    port = free_port()
    command = [sys.executable, "-m", "mmer_ray", "serve", "--profile", "synthetic", "--port", str(port)]
    command += ["--insecure-no-auth", "--set", f'serve.state="{tmp_path}"']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert f"http://127.0.0.1:{port} answers after" in line
        print(line)
        assert answer_to_an_endless_head(port) == b"HTTP/1.1 431 "
        answers: list[httpx.Response] = []
        sound = CALL.read_bytes()
        asking = threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"http://127.0.0.1:{port}/v1/audio/analyses", files={"file": sound}, timeout=60)
            )
        )
        asking.start()
        while "mmer_in_flight 1.0" not in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text:
            assert not answers, "it was answered before it could be stopped"
        child.send_signal(signal.SIGTERM)
        asking.join()
        out, err = child.communicate(timeout=60)
    assert (child.returncode, answers[0].status_code) == (0, 200), err
    assert "Traceback" not in out + err
