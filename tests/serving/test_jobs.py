"""Jobs are handed in, worked on once, and belong to the key that handed them in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmer_ray.errors import ErrorCode, UsageError
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving import job_runner
from mmer_ray.serving.interface import ScorersUnavailableError
from tests.serving.cheap_scorers import CheapScorers, failed
from tests.serving.http_server import serving
from tests.serving.job_gateway import JobGateway
from tests.serving.sounds import wav


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[JobGateway]:
    gateway = JobGateway(tmp_path / "state", ServeOptions(max_jobs=20))
    gateway.key = gateway.keys.add("dialler")
    with serving(gateway.app()) as gateway.address:
        yield gateway
    gateway.database.close()


def test_a_job_is_accepted_at_once_and_has_the_analysis_in_the_end(gateway: JobGateway) -> None:
    gateway.scorers.delay_s = 0.3
    answer = gateway.hand_in()
    assert answer.status_code == 202
    job = answer.json()
    assert (job["status"], job["result"], job["object"]) == ("queued", None, "job")
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"]
    done = gateway.job_once(job["id"], "succeeded")
    assert done["result"]["schema"] == "mmer.analysis/1"
    assert done["result"]["text"] == "good morning hello"
    assert (done["attempts"], done["error"], done["size_bytes"]) == (1, None, len(wav()))
    assert done["created_at"] <= done["started_at"] <= done["ended_at"] < done["expires_at"]
    (asked,) = gateway.scorers.asked
    assert asked.is_job


def test_the_sound_and_what_was_asked_are_removed_at_the_end(gateway: JobGateway) -> None:
    big = 20.0
    assert len(wav(big)) > 512 << 10
    for seconds in (1.0, big):
        gateway.job_once(gateway.submitted(seconds, data={"speaker": "Ada"}), "succeeded")
    assert gateway.scorers.asked[1].known_speakers[0].sound == b"a voice"
    time.sleep(0.1)
    assert gateway.num_sounds() == 0
    kept = gateway.database.do(lambda c: c.execute("SELECT asked, sound FROM jobs").fetchall())
    assert [tuple(row) for row in kept] == [(None, None)] * 2


def test_an_analysis_with_respond_async_is_a_job(gateway: JobGateway) -> None:
    answer = gateway.hand_in(path="/v1/audio/analyses", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert gateway.hand_in().json()["id"] == answer.json()["id"]


def test_the_same_sound_and_wishes_are_the_same_job(gateway: JobGateway) -> None:
    first = gateway.submitted(data={"languages[]": "en"})
    assert gateway.submitted(data={"languages[]": "en"}) == first
    gateway.job_once(first, "succeeded")
    again = gateway.hand_in(data={"languages[]": "en"})
    assert (again.json()["id"], again.json()["status"]) == (first, "succeeded")
    assert again.json()["result"] == gateway.job_once(first, "succeeded")["result"] is not None
    others = {gateway.submitted(data={"languages[]": "de"}), gateway.submitted(2.0, data={"languages[]": "en"})}
    assert first not in others
    assert len(others) == 2
    for job_id in others:
        gateway.job_once(job_id, "succeeded")
    assert gateway.scorers.num_asked == 3


def test_with_other_models_or_settings_the_same_sound_is_another_job_and_the_earlier_one_is_kept(
    gateway: JobGateway,
) -> None:
    first = gateway.submitted()
    gateway.job_once(first, "succeeded")
    other = JobGateway(gateway.state, gateway.options, key=gateway.key, answers=b"others")
    with serving(other.app()) as other.address:
        second = other.submitted()
        assert second != first
        other.job_once(second, "succeeded")
        assert other.job(first)["status"] == "succeeded"
    assert other.scorers.num_asked == 1
    other.database.close()


def test_a_job_of_another_key_is_not_there(gateway: JobGateway) -> None:
    job_id, other = gateway.submitted(), gateway.keys.add("other")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        answer = gateway.ask(method, f"/v1/jobs/{job_id}{path}", key=other)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")
    assert gateway.ask("GET", "/v1/jobs", key=other).json()["data"] == []
    assert gateway.ask("GET", f"/v1/jobs?after={job_id}", key=other).status_code == 400
    assert gateway.submitted(key=other) != job_id
    assert gateway.job(job_id)["status"] in ("queued", "running", "succeeded")


def test_a_key_that_is_added_again_under_the_same_name_owns_nothing_of_the_earlier_one(gateway: JobGateway) -> None:
    job_id = gateway.submitted()
    gateway.keys.revoke("dialler")
    assert gateway.ask("GET", f"/v1/jobs/{job_id}").status_code == 401
    gateway.key = gateway.keys.add("dialler")
    assert gateway.ask("GET", f"/v1/jobs/{job_id}").status_code == 404
    assert gateway.ask("GET", "/v1/jobs").json()["data"] == []
    assert gateway.submitted() != job_id


def test_jobs_are_listed_in_pages_the_newest_first(gateway: JobGateway) -> None:
    ids = [gateway.submitted(1.0 + number) for number in range(5)]
    page = gateway.ask("GET", "/v1/jobs?limit=2").json()
    assert ([job["id"] for job in page["data"]], page["has_more"]) == ([ids[4], ids[3]], True)
    assert "result" not in page["data"][0]
    page = gateway.ask("GET", f"/v1/jobs?limit=3&after={page['last_id']}").json()
    assert ([job["id"] for job in page["data"]], page["has_more"]) == ([ids[2], ids[1], ids[0]], False)
    assert (page["first_id"], page["last_id"]) == (ids[2], ids[0])
    for query in ("limit=0", "limit=101", "limit=x", "after=job_none", "after=%00"):
        assert gateway.ask("GET", f"/v1/jobs?{query}").status_code == 400, query


@pytest.mark.parametrize("job_id", ["job_none", "%00", "%ff", "%ed%a0%80", "a'--", "x" * 1_000])
def test_an_id_that_is_none_is_404(gateway: JobGateway, job_id: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        assert gateway.ask(method, f"/v1/jobs/{job_id}{path}").status_code == 404


def test_a_running_job_that_is_cancelled_stops_the_work(gateway: JobGateway) -> None:
    gateway.scorers.delay_s = 1_000.0
    job_id = gateway.submitted()
    gateway.job_once(job_id, "running")
    answer = gateway.ask("POST", f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    _until(lambda: gateway.scorers.num_cancelled == 1)
    assert gateway.job(job_id)["result"] is None
    assert gateway.num_sounds() == 0
    assert gateway.ask("POST", f"/v1/jobs/{job_id}/cancel").status_code == 200


def test_a_waiting_job_that_is_cancelled_is_never_begun_and_can_be_handed_in_again(gateway: JobGateway) -> None:
    gateway.scorers.delay_s = 1_000.0
    running, waiting = gateway.submitted(1.0), gateway.submitted(2.0)
    gateway.job_once(running, "running")
    gateway.ask("POST", f"/v1/jobs/{waiting}/cancel")
    gateway.scorers.delay_s = 0.0
    gateway.ask("POST", f"/v1/jobs/{running}/cancel")
    _until(lambda: gateway.scorers.num_cancelled == 1)
    assert gateway.job(waiting)["status"] == "cancelled"
    assert gateway.submitted(2.0) == waiting
    assert gateway.job_once(waiting, "succeeded")["attempts"] == 1
    assert gateway.scorers.num_asked == 2


def test_a_job_that_has_ended_cannot_be_cancelled_and_clients_do_not_try_again(gateway: JobGateway) -> None:
    job_id = gateway.submitted()
    gateway.job_once(job_id, "succeeded")
    answer = gateway.ask("POST", f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_ended")
    assert answer.headers["x-should-retry"] == "false"


def test_a_job_that_is_deleted_is_gone_with_its_work(gateway: JobGateway) -> None:
    gateway.scorers.delay_s = 1_000.0
    job_id = gateway.submitted()
    gateway.job_once(job_id, "running")
    answer = gateway.ask("DELETE", f"/v1/jobs/{job_id}")
    assert answer.json() == {"id": job_id, "object": "job.deleted", "deleted": True}
    assert gateway.ask("GET", f"/v1/jobs/{job_id}").status_code == 404
    assert gateway.ask("DELETE", f"/v1/jobs/{job_id}").status_code == 404
    _until(lambda: gateway.scorers.num_cancelled == 1)
    assert gateway.num_sounds() == 0


def test_a_recording_that_cannot_be_scored_fails_its_job_with_the_code(gateway: JobGateway) -> None:
    gateway.scorers.answer = failed(ErrorCode.DECODE_ERROR)
    job = gateway.job_once(gateway.submitted(), "failed")
    assert job["error"]["code"] == "decode_error"
    assert job["error"]["type"] == "invalid_request_error"
    assert (job["attempts"], job["result"]) == (1, None)
    assert gateway.num_sounds() == 0


def test_a_wish_that_is_not_heeded_fails_its_job_by_name(gateway: JobGateway) -> None:
    gateway.scorers.answer = UsageError("keywords: this model takes none")
    job = gateway.job_once(gateway.submitted(), "failed")
    assert (job["error"]["code"], job["error"]["param"]) == ("invalid_value", "keywords")


def test_what_is_no_audio_or_no_form_is_refused_at_once_and_leaves_nothing(gateway: JobGateway) -> None:
    answers = [
        gateway.ask("POST", "/v1/jobs", files={"file": ("a.wav", b"PK\x03\x04" + bytes(400_000))}),
        gateway.ask("POST", "/v1/jobs", files={"other": ("a.wav", wav(20.0))}),
        gateway.ask("POST", "/v1/jobs", content=b"x", headers={"Content-Type": "text/plain"}),
    ]
    assert [answer.status_code for answer in answers] == [415, 400, 415]
    assert gateway.num_sounds() == 0
    assert gateway.ask("GET", "/v1/jobs").json()["data"] == []


def test_models_that_are_gone_for_a_moment_are_asked_again_three_times_at_most(
    gateway: JobGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "RETRY_S", 0.01)
    monkeypatch.setattr(job_runner, "POLL_S", 0.05)
    gateway.scorers.answer = ScorersUnavailableError("the replica died")
    job = gateway.job_once(gateway.submitted(), "failed")
    assert (job["error"]["code"], job["attempts"]) == ("models_unavailable", 3)
    assert gateway.scorers.num_asked == 3


def test_a_job_waits_for_models_that_are_not_ready_yet_without_using_up_attempts(
    gateway: JobGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "POLL_S", 0.05)
    gateway.scorers.is_ready = False
    job_id = gateway.submitted()
    time.sleep(0.5)
    assert (gateway.job(job_id)["status"], gateway.job(job_id)["attempts"]) == ("queued", 0)
    gateway.scorers.is_ready = True
    assert gateway.job_once(job_id, "succeeded")["attempts"] == 1


def test_a_bug_fails_its_job_and_neither_client_nor_log_hear_its_words(
    gateway: JobGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.scorers.answer = RuntimeError("my card number is 4111")
    job_id = gateway.submitted()
    job = gateway.job_once(job_id, "failed")
    assert job["error"]["code"] == "internal"
    assert "card number" not in caplog.text + str(job)
    assert job_id in caplog.text
    gateway.scorers.answer = CheapScorers().answer
    assert gateway.job_once(gateway.submitted(2.0), "succeeded")


def test_as_many_jobs_run_at_a_time_as_the_profile_says(tmp_path: Path) -> None:
    gateway = JobGateway(tmp_path, ServeOptions(max_running_jobs=2), CheapScorers(delay_s=0.2))
    gateway.key = gateway.keys.add("dialler")
    with serving(gateway.app()) as gateway.address:
        for job_id in [gateway.submitted(1.0 + number) for number in range(5)]:
            gateway.job_once(job_id, "succeeded")
    assert gateway.scorers.most_running == 2
    gateway.database.close()


def test_beyond_the_most_jobs_one_more_is_refused_and_leaves_nothing(gateway: JobGateway) -> None:
    gateway.scorers.delay_s = 1_000.0
    for number in range(20):
        gateway.submitted(1.0 + number / 10)
    answer = gateway.hand_in(9.0)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_jobs")
    assert answer.headers["retry-after"]
    # What is there already takes no more room.
    assert gateway.hand_in(1.0).status_code == 202
    assert gateway.num_sounds() == 20


def test_beyond_the_most_jobs_of_a_key_its_next_one_is_refused_and_another_keys_is_taken(tmp_path: Path) -> None:
    gateway = JobGateway(tmp_path, ServeOptions(max_jobs_per_key=2), CheapScorers(delay_s=1_000.0))
    gateway.key, other = gateway.keys.add("dialler"), gateway.keys.add("other")
    with serving(gateway.app()) as gateway.address:
        first = [gateway.submitted(1.0), gateway.submitted(2.0)]
        answer = gateway.hand_in(3.0)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"]
        assert gateway.num_sounds() == 2
        gateway.submitted(3.0, key=other)
        gateway.ask("POST", f"/v1/jobs/{first[0]}/cancel")
        gateway.submitted(3.0)
    gateway.database.close()


def test_jobs_whose_sounds_would_take_too_much_are_refused(tmp_path: Path) -> None:
    room = len(wav(1.0)) + len(wav(2.0))
    gateway = JobGateway(tmp_path, ServeOptions(max_jobs_bytes=room), CheapScorers(delay_s=1_000.0))
    gateway.key = gateway.keys.add("dialler")
    with serving(gateway.app()) as gateway.address:
        gateway.submitted(1.0)
        answer = gateway.hand_in(2.1)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_space")
        assert gateway.num_sounds() == 1
        gateway.submitted(2.0)
    gateway.database.close()


def test_a_key_with_many_jobs_does_not_keep_another_waiting(
    gateway: JobGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "POLL_S", 0.05)
    gateway.scorers.is_ready = False
    other = gateway.keys.add("other")
    many = [gateway.submitted(1.0 + number) for number in range(5)]
    one = gateway.submitted(9.0, key=other)
    gateway.scorers.is_ready = True
    for job_id in many:
        gateway.job_once(job_id, "succeeded")
    sizes = [ended.body_bytes for ended in gateway.ended]
    assert sizes.index(len(wav(9.0))) <= 1
    assert gateway.job(one, key=other)["status"] == "succeeded"


def test_a_full_disk_is_a_refusal_to_try_again(gateway: JobGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        patch.setattr("mmer_ray.serving.upload._written", full)
        # In memory, and on its way to the folder.
        answers = [gateway.hand_in(), gateway.hand_in(20.0)]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "no_space")] * 2
    assert gateway.hand_in().status_code == 202


def test_figures_and_audit_are_told_of_each_end(gateway: JobGateway) -> None:
    job_id = gateway.submitted()
    gateway.job_once(job_id, "succeeded")
    _until(lambda: len(gateway.ended) == 1)
    (ended,) = gateway.ended
    assert (ended.request_id, ended.key, ended.route, ended.status) == (job_id, "dialler", "job", 200)
    assert ended.audio_s == 2.0


def test_ended_jobs_are_forgotten_after_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmer_ray.serving.jobs.TIDY_S", 0.1)
    gateway = JobGateway(tmp_path, ServeOptions(keep_jobs_s=0.5))
    gateway.key = gateway.keys.add("dialler")
    with serving(gateway.app()) as gateway.address:
        job_id = gateway.submitted()
        gateway.job_once(job_id, "succeeded")
        _until(lambda: gateway.ask("GET", f"/v1/jobs/{job_id}").status_code == 404)
    gateway.database.close()


def test_the_same_idempotency_key_with_another_sound_is_409(gateway: JobGateway) -> None:
    headers = {"Idempotency-Key": "one"}
    first = gateway.hand_in(20.0, headers=headers)
    again = gateway.hand_in(20.0, headers=headers)
    assert (again.json()["id"], again.headers["location"]) == (first.json()["id"], first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert gateway.hand_in(2.0, headers=headers).status_code == 409
    gateway.job_once(first.json()["id"], "succeeded")
    time.sleep(0.1)
    assert gateway.num_sounds() == 0


def test_results_hold_text_and_are_readable_by_their_owner_alone(gateway: JobGateway) -> None:
    gateway.job_once(gateway.submitted(20.0), "succeeded")
    files = [file for file in gateway.state.rglob("*") if file.is_file() and not file.name.endswith(".lock")]
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    assert gateway.jobs.folder.stat().st_mode & 0o077 == 0


def _until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
