"""A profile: one complete, frozen value that says which models run, with what options, where.

A profile is a TOML file with one table per stage; those shipped lie in `mmer_ray/profiles/`. Keys that are left
out take the defaults below; an unknown key is refused by name. `--set stage.key=value` changes one key, and
`--set stage.table.key=value` one of a table inside.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from mmer_ray.errors import ProfileError
from mmer_ray.options import LANGUAGE_CODE, Options
from mmer_ray.runner import Runner
from mmer_ray.serve_options import ServeOptions

SHIPPED = resources.files("mmer_ray") / "profiles"
SHIPPED_EMOTION = "package:mmer_ray/assets/frozen_encoder"
"""The emotion head that comes with the package."""
STAGES = ("decode", "diarize", "transcribe", "join", "emotion", "link")


class DecodeOptions(Options):
    window_s: float = Field(600.0, ge=20, le=600)
    """Longest window handed to the models; windows are cut at a pause."""
    max_duration_s: float = Field(43_200.0, gt=0)
    """Longer recordings fail as `too_long`."""
    max_file_bytes: int = Field(8 << 30, gt=0)
    """Larger files fail as `file_too_big` before a byte is read."""
    max_decoded_bytes: int = Field(16 << 30, gt=0)
    """Cap on duration x rate x channels x 4 bytes: a forged header or a bomb fails as `too_long`."""
    stall_s: float = Field(30.0, gt=0)
    """A decoder that sends nothing for this long is killed: `decode_timeout`, or `io_error` if it did not compute."""
    max_memory_mb: int = Field(3_072, gt=0)
    """Address space of the decoding child (RLIMIT_AS); beyond it the file fails as `out_of_memory`."""


class VadOptions(Options):
    model: str = "silero"
    """The voice activity detector: a name in `audio/vad.py`."""
    threshold: float = Field(0.5, gt=0, lt=1)
    min_silence_s: float = Field(0.3, ge=0)
    """Shorter pauses do not end a stretch of speech."""


class DiarizeOptions(Options):
    model: str = "segmentation:segmentation-3.0"
    """`segmentation:NAME`: a segmentation model, which tells who talks when, also at the same time. `pyannote:NAME`: a
    pipeline of pyannote.audio. A name alone is that of a speaker model, whose embeddings are clustered. Names are those
    of `transcribe.model`."""
    embedding_model: str = "campplus"
    """The model of speaker embeddings beside a segmentation model."""
    distance_threshold: float | None = Field(None, gt=0, lt=2)
    """Distance above which two speaker embeddings are two people, 0..2: a cosine distance, which a segmentation model's
    diarizer corrects for noise; of a pipeline its clustering's own. None: the value calibrated for the model."""
    max_speakers: int = Field(20, ge=1)


class TranscribeOptions(Options):
    model: str = "whisper:tiny.en"
    """`whisper:NAME`: a Whisper in CTranslate2's format. `onnx:NAME`: a model that onnx-asr reads. A name alone is that
    of a `ctc` model. Names: one of the catalogue, `embedded`, a folder, `package:NAME/PATH` or `OWNER/NAME@COMMIT`
    (`models/refs.py`)."""
    batch_s: float = Field(120.0, gt=0)
    """Padded seconds per forward pass."""
    beam_width: int | None = Field(None, ge=1)
    """Hypotheses kept by the beam search; 1 decodes greedily, the `ctc` member without its word model. None: the
    member's own."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that speech may be in, for members that tell languages apart; one fixes it, none allows all. The
    `onnx` member takes one, as a label of what it writes."""
    keywords: tuple[str, ...] = ()
    """Names and terms that the `whisper` member is told to expect."""
    align_models: Mapping[Annotated[str, Field(pattern=LANGUAGE_CODE)], str] = {}
    """ISO 639-1 code -> an aligner, named as `model` is: a wav2vec2 with a CTC head that gives the times of words, for
    the `whisper` member. Words in other languages have the times of cross-attention."""


class JoinOptions(Options):
    distance_threshold: float | None = Field(None, gt=0, lt=2)
    """As `diarize.distance_threshold`, between the speakers of different windows."""


class EmotionOptions(Options):
    model: str = SHIPPED_EMOTION
    """An emotion model, named as `transcribe.model` is."""
    batch_s: float = Field(120.0, gt=0)
    """Padded seconds per forward pass."""
    roles: tuple[str, ...] = ()
    """Roles of `link.channel_roles` whose emotions may be scored; empty: everybody's. Whoever has another role, or none
    that is known, is not scored: `skip_reason` is `policy`."""


class LinkOptions(Options):
    channel_roles: tuple[str, ...] = ()
    """Role of the speaker on each channel of a stereo call, for example ["agent", "customer"]."""


class RunOptions(Options):
    runner: Runner = Runner.AUTO
    min_actors: int = Field(0, ge=0)
    """Fewest model actors; 0: one."""
    max_actors: int = Field(0, ge=0)
    """Most model actors; 0: one per CPU core, or one per `gpus_per_actor`, of the cluster at its largest."""
    cpus_per_actor: float = Field(0.5, gt=0)
    """Below 1, so that actors never own all CPUs of a host: Ray Data's other operators need some."""
    gpus_per_actor: float = Field(0.0, ge=0)
    speed_x: float = Field(30.0, gt=0)
    """Seconds of audio that one process scores per second. Only estimates and the choice of the runner use it."""
    batch_s: float = Field(600.0, gt=0)
    """Seconds of audio that are diarized and transcribed together."""
    max_wait_s: float = Field(0.2, ge=0)
    """Longest time that a batch waits to be filled while work could go on."""
    shard_s: float = Field(1_800.0, gt=0)
    """Most seconds of audio in one Ray task; small jobs are cut finer so that every actor has work."""
    commit_every_s: float = Field(60.0, gt=0)
    first_commit_s: float = Field(10.0, gt=0)
    """The first commit comes this soon, so that a job that is killed early leaves something."""
    commit_every_mb: float = Field(64.0, gt=0)
    """Megabytes of rows in memory that make a commit."""
    compact_after_files: int = Field(32, ge=0)
    """A finished job compacts the lake where a month of a corpus has more small files than this in some table; 0:
    never."""
    max_attempts: int = Field(3, ge=1)
    """Tries before a recording that kills its worker is quarantined as `worker_crash`."""
    max_retries: int = Field(5, ge=0)
    """Later jobs that try a recording again whose failure may pass (`errors.RETRYABLE`)."""
    retry_after_s: float = Field(3_600.0, ge=0)
    """Shortest time before the first such try; it doubles with each."""


class Profile(Options):
    """Everything a job needs to know besides its sources and its lake."""

    name: str
    decode: DecodeOptions = DecodeOptions()
    vad: VadOptions = VadOptions()
    diarize: DiarizeOptions = DiarizeOptions()
    transcribe: TranscribeOptions = TranscribeOptions()
    join: JoinOptions = JoinOptions()
    emotion: EmotionOptions = EmotionOptions()
    link: LinkOptions = LinkOptions()
    run: RunOptions = RunOptions()
    serve: ServeOptions = ServeOptions()


def shipped_profiles() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))


def load_profile(name_or_file: str = "embedded", settings: Iterable[str] = ()) -> Profile:
    """Read a shipped profile by name, or a user's TOML file, then apply `stage.key=value` settings.

    Raises `ProfileError`, naming the key and the nearest valid one.
    """
    table = _read(name_or_file)
    for setting in settings:
        _apply(table, setting)
    return _validated(table)


def with_settings(profile: Profile, settings: Iterable[str]) -> Profile:
    """The same profile, some keys changed by `stage.key=value` settings. Raises `ProfileError`."""
    table = profile.model_dump(mode="json")
    for setting in settings:
        _apply(table, setting)
    return _validated(table)


def stored_profile(options: str) -> Profile:
    """The profile of a run, from the JSON that `runs.options` keeps; how it ran (`run`, `serve`) is left out.

    Raises `ProfileError` where another version of mmer_ray wrote keys that this one does not know.
    """
    try:
        table = json.loads(options)
    except json.JSONDecodeError as exc:
        raise ProfileError(f"the stored options are no JSON: {exc}") from exc
    return _validated({name: value for name, value in table.items() if name not in ("run", "serve")})


def setting_stage(setting: str) -> str:
    """The table of the profile that a setting changes.

    >>> setting_stage("emotion.batch_s=30")
    'emotion'
    """
    return setting.partition("=")[0].strip().partition(".")[0]


def _validated(table: Mapping[str, Any]) -> Profile:
    try:
        return Profile.model_validate(table)
    except ValidationError as exc:
        raise ProfileError("; ".join(_explain(error) for error in exc.errors())) from exc


def _read(name_or_file: str) -> dict[str, Any]:
    path = Path(name_or_file)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ProfileError(f"profile file {name_or_file} does not exist")
        text, name = path.read_text(encoding="utf-8"), path.stem
    elif name_or_file in shipped_profiles():
        text, name = (SHIPPED / f"{name_or_file}.toml").read_text(encoding="utf-8"), name_or_file
    else:
        hint = _near(name_or_file, shipped_profiles())
        raise ProfileError(f"unknown profile {name_or_file!r}{hint}; shipped: {', '.join(shipped_profiles())}")
    try:
        return {"name": name, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as exc:
        raise ProfileError(f"profile {name_or_file} is not TOML: {exc}") from exc


def _apply(table: dict[str, Any], setting: str) -> None:
    """Set one key. The value is read as TOML where it is TOML, else as a plain string."""
    address, equals, value = setting.partition("=")
    stage, *inside = address.strip().split(".")
    if not (equals and stage and inside and all(inside)):
        raise ProfileError(f"--set takes stage.key=value, not {setting!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    section = table
    for name in (stage, *inside[:-1]):
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise ProfileError(f"{name!r} is not a table of the profile{_near(stage, _valid_keys(()))}")
    section[inside[-1]] = parsed


def _explain(error: Mapping[str, Any]) -> str:
    location: tuple[str, ...] = tuple(str(part) for part in error["loc"])
    address = ".".join(location)
    if error["type"] != "extra_forbidden":
        hint = '; write a list, \'["A", "B"]\'' if error["type"] == "tuple_type" else ""
        return f"{address}: {error['msg']} (got {error['input']!r}){hint}"
    valid = _valid_keys(location[:-1])
    return f"unknown key {address!r}{_near(location[-1], valid)}; valid here: {', '.join(valid)}"


def _valid_keys(parents: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Profile
    for parent in parents:
        annotation = model.model_fields[parent].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)


def _near(word: str, valid: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(valid), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
