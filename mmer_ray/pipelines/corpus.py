"""The job: decode, diarize, transcribe, emotion, link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from time import perf_counter
from types import TracebackType
from typing import Protocol

from mmer_ray.errors import AudioError
from mmer_ray.pipelines.ahead import DecodeAhead, Decodes
from mmer_ray.pipelines.gather import Desk, Group, Links
from mmer_ray.pipelines.memory import keep_freed_memory
from mmer_ray.profiles import Profile
from mmer_ray.records import Recording, ScoredRecording, Window

FIRST_GROUP_S = 60.0
"""The first group is this small and each may be twice the last, up to `run.batch_s`: first results come soon."""


class Stage(Protocol):
    """Windows in, the same windows with one more answer out, in the same order."""

    @property
    def name(self) -> str: ...

    def __call__(self, windows: list[Window]) -> list[Window]: ...


def stages_of(profile: Profile) -> list[Stage]:
    """The stages between `decode`, which fans out, and `link`, which gathers."""
    # torch takes seconds to import; who only plans or reads never pays for it.
    from mmer_ray.stages.diarize import Diarize
    from mmer_ray.stages.emotion import ScoreEmotion
    from mmer_ray.stages.transcribe import Transcribe

    return [
        Diarize(profile.diarize),
        Transcribe(profile.transcribe),
        ScoreEmotion(profile.emotion),
    ]


class Pipeline:
    """All stages in one process. Loaded once, it scores any number of recordings; a context manager.

    `key` is the lake's, for the recording ids. Decoder and stages can be given in place of the profile's.
    """

    def __init__(
        self,
        profile: Profile,
        key: bytes,
        *,
        decoder: Decodes | None = None,
        stages: Sequence[Stage] | None = None,
    ) -> None:
        from mmer_ray.stages.link import Link

        keep_freed_memory()
        self._exit = ExitStack()
        # First, so that its child starts while the models load.
        self._decoder = decoder if decoder is not None else self._open_decoder(profile)
        try:
            self._stages = list(stages_of(profile) if stages is None else stages)
        except BaseException:
            self.close()
            raise
        self._link: Links = Link(profile.link)
        self._batch_s = profile.run.batch_s

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the decoder's child."""
        self._exit.close()

    def score(self, recordings: Iterable[Recording]) -> Iterator[ScoredRecording]:
        """Score recordings; each comes out as soon as it is finished, failed ones among them.

        Windows of several recordings pass through the stages together, up to `run.batch_s` seconds of audio; as many
        are decoded ahead. At most these and one more window are in memory. An answer does not depend on its company.
        A bug in a stage is raised. `recordings` is iterated in the decoding thread.
        """
        with DecodeAhead(self._decoder, recordings, self._batch_s) as ahead:
            desk = Desk(self._link)
            group = Group(limit_s=min(FIRST_GROUP_S, self._batch_s))
            for decoded in ahead:
                if isinstance(decoded.item, Window) and not group.has_room(decoded):
                    desk.hand_in(*self._run(group))
                    group = Group(limit_s=min(2 * group.limit_s, self._batch_s))
                if isinstance(decoded.item, Window):
                    group.add(decoded.position, decoded.item)
                elif isinstance(decoded.item, AudioError):
                    group.drop(decoded.position)
                desk.take_note(decoded)
                yield from desk.finished()
            desk.hand_in(*self._run(group))
            yield from desk.finished()

    def _run(self, group: Group) -> tuple[list[tuple[int, Window]], dict[str, float]]:
        """Pass a group through the stages; returns it, audio let go, and each stage's wall seconds."""
        positions, windows = [position for position, _ in group.windows], [window for _, window in group.windows]
        stage_wall_s: dict[str, float] = {}
        for stage in self._stages if windows else ():
            begun = perf_counter()
            windows = stage(windows)
            assert len(windows) == len(positions), f"{stage.name} must give one window per window"
            stage_wall_s[stage.name] = perf_counter() - begun
        group.windows.clear()
        return [(p, w.without_samples()) for p, w in zip(positions, windows, strict=True)], stage_wall_s

    def _open_decoder(self, profile: Profile) -> Decodes:
        from mmer_ray.audio.decode import Decoder

        decoder: Decodes = self._exit.enter_context(Decoder(profile.decode))
        return decoder
