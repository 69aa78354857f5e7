"""Places are counted: whatever happens to a request, its place is free exactly once."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.admission import Admission
from mmer_ray.serving.api_errors import ApiError


def test_a_place_is_free_again_however_it_ends() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions())

        async def hold(end: str) -> None:
            async with admission.place("alice", 2.5):
                if end == "raises":
                    raise ValueError
                await asyncio.sleep(0 if end == "returns" else 60)

        held = [asyncio.ensure_future(hold(end)) for end in ("returns", "raises", "is cancelled")]
        await asyncio.sleep(0)
        assert (admission.in_flight, admission.queued_s, admission.of_key("alice")) == (2, 5.0, 2)
        held[2].cancel()
        held[2].cancel()
        await asyncio.wait(held)
        assert (admission.in_flight, admission.queued_s, admission.of_key("alice")) == (0, 0.0, 0)

    asyncio.run(go())


def test_counts_hold_under_a_storm_of_requests_that_are_cancelled() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions(max_in_flight=16, max_in_flight_per_key=8, max_queued_s=40))
        chance = random.Random(7)
        statuses: set[int] = set()

        async def ask(number: int) -> None:
            try:
                async with admission.place(f"key-{number % 3}", chance.uniform(0, 9)):
                    assert admission.in_flight <= 16
                    assert admission.of_key(f"key-{number % 3}") <= 8
                    await asyncio.sleep(chance.uniform(0, 0.02))
            except ApiError as error:
                statuses.add(error.status)

        tasks = [asyncio.ensure_future(ask(number)) for number in range(50)]
        for number in range(50, 2_000):
            tasks.append(asyncio.ensure_future(ask(number)))
            chance.choice(tasks).cancel()
            if number % 20 == 0:
                await asyncio.sleep(0.001)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert statuses == {429, 503}
        assert (admission.in_flight, admission.queued_s) == (0, 0.0)

    asyncio.run(go())


def test_draining_waits_for_what_was_taken_and_takes_no_more() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions())
        async with admission.place("alice", 1):
            assert not await admission.drained(0.01)
            with pytest.raises(ApiError) as caught:
                async with admission.place("bob", 1):
                    pass
            assert (caught.value.status, caught.value.code) == (503, "stopping")
            draining = asyncio.ensure_future(admission.drained(5))
            await asyncio.sleep(0)
        assert await draining

    asyncio.run(go())


def test_draining_waits_for_live_calls_also_between_their_stretches_and_gives_them_places() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions())
        async with admission.live_call("alice"):
            assert not await admission.drained(0.01)
            async with admission.place_in_call("alice", 5.0):
                assert admission.in_flight == 1
            with pytest.raises(ApiError, match="stopping"):
                async with admission.live_call("bob"):
                    pass
        assert await admission.drained(0.01)

    asyncio.run(go())


def test_all_of_a_live_call_is_let_in_however_full_it_is_and_shuts_out_nobody() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions(max_in_flight=2, max_queued_s=3_600))
        async with admission.place("bob", 1.0), admission.place_in_call("alice", 3_600.0, is_all=True):
            assert admission.queued_s == 1.0 + ServeOptions().max_audio_s
            with pytest.raises(ApiError, match="overloaded"):
                async with admission.place_in_call("alice", 5.0):
                    pass
            async with admission.place_in_call("carol", 3_600.0, is_all=True):
                assert admission.in_flight == 3
        async with admission.place_in_call("alice", 3_600.0, is_all=True), admission.place("bob", 60.0):
            pass

    asyncio.run(go())


def test_one_key_holds_no_more_live_calls_than_its_share() -> None:
    async def go() -> None:
        admission = Admission(ServeOptions(max_streams=3, max_streams_per_key=2))
        refusals = []
        async with admission.live_call("alice"), admission.live_call("alice"):
            for key in ("alice", "bob", "carol"):
                try:
                    await calls.enter_async_context(admission.live_call(key))
                except ApiError as refusal:
                    refusals.append((key, refusal.status, refusal.code))
            await calls.aclose()
        assert refusals == [("alice", 429, "rate_limit_exceeded"), ("carol", 503, "too_many_streams")]
        async with admission.live_call("alice"):
            pass

    calls = AsyncExitStack()
    asyncio.run(go())
