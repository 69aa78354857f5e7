"""What the OpenAPI document says beyond FastAPI's own: forms, kinds of answers, the one shape of errors, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from mmer_ray import __version__
from mmer_ray.options import LANGUAGE_CODE
from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.access import OPEN_PATHS
from mmer_ray.serving.analysis_schema import Analysis
from mmer_ray.serving.form_fields import MAX_KNOWN_SPEAKERS
from mmer_ray.serving.job_document import JobDocument
from mmer_ray.serving.transcription_form import FORMATS, GRANULARITIES, MODELS, NAMING_FORMATS, NEWER_MODELS
from mmer_ray.serving.transcription_formats import MEDIA_TYPES
from mmer_ray.serving.transcription_schema import DiarizedTranscription, PlainTranscription, VerboseTranscription

Schema = dict[str, Any]

TITLE = "mmer_ray: online endpoint"
SUMMARY = """\
Transcripts, speakers and emotions of recordings. The models and the answers are those of the batch job.

Send a key as `Authorization: Bearer KEY`; `mmer keys add NAME` makes one. Every answer has an `x-request-id`. An
error is one JSON object, `error`, with a `message`, a `code` for programs and the `param` that is meant. 429 and 503
have a `Retry-After`. A POST with an `Idempotency-Key` is worked on once, however often it is sent within a day.

`/v1/audio/stream` is a WebSocket. Send `{"type": "start", "sample_rate": 16000, "channels": 1}`, then 16-bit PCM in
binary messages, then `{"type": "end"}`. Utterances come as they are finished, at the end `final` with the analysis. A
browser sends its key as the subprotocol `mmer.bearer.KEY`.
"""
PREFERENCE: Schema = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`respond-async`: do not wait, make it a job.",
}
REFUSALS = {
    "400": "A field is missing, not known, off, or cannot be honoured: `param` names it.",
    "401": "No key, or none that is valid.",
    "404": "There is no such thing.",
    "408": "The body did not arrive in time.",
    "409": "It is not what it was: the job has ended, or the `Idempotency-Key` was sent with another request.",
    "413": "The body or the audio is too big or too long.",
    "415": "No form, or no audio.",
    "422": "Audio that cannot be scored; `code` says why.",
    "429": "This key has too many requests under way.",
    "503": "No room, no model or no time now.",
}


class ErrorPart(BaseModel):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str
    request_id: str


class Error(BaseModel):
    """The body of every refusal."""

    error: ErrorPart


def describe(app: FastAPI, options: ServeOptions) -> None:
    """Give an app its document, made at the first request for it."""
    app.openapi = _once(lambda: _document(app, options))  # type: ignore[method-assign]


def transcription_operation(options: ServeOptions) -> dict[str, Any]:
    """Arguments of the route of transcriptions."""
    shapes: list[type[BaseModel]] = [PlainTranscription, VerboseTranscription, DiarizedTranscription]
    content: Schema = {
        media_type.partition(";")[0]: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()
    }
    content["text/event-stream"] = {"schema": {"type": "string"}}
    content["application/json"] = {"schema": {"anyOf": [_ref(shape) for shape in shapes]}}
    told = {"200": {"description": "The transcript in `response_format`, or a stream of events.", "content": content}}
    return {"openapi_extra": {"requestBody": _form(options, _TRANSCRIPTION, ["file", "model"]), "responses": told}}


def analysis_operation(options: ServeOptions) -> dict[str, Any]:
    """Arguments of the route of analyses."""
    told = {
        "200": {"description": "The analysis.", "content": {"application/json": {"schema": _ref(Analysis)}}},
        "202": {"description": "A job was made of it.", "content": {"application/json": {"schema": _ref(JobDocument)}}},
    }
    extra = {"parameters": [PREFERENCE], "requestBody": _form(options, _ANALYSIS, ["file"]), "responses": told}
    return {"openapi_extra": extra}


def _document(app: FastAPI, options: ServeOptions) -> Schema:
    document = get_openapi(title=TITLE, version=__version__, description=SUMMARY, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Error, Analysis, JobDocument, PlainTranscription, VerboseTranscription, DiarizedTranscription):
        _add(schemas, model)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation, options)
    return document


def _complete(path: str, method: str, operation: Schema, options: ServeOptions) -> None:
    """Say of one operation how it refuses, and what its form is if nobody did."""
    # FastAPI's, for what is a 400 here.
    operation["responses"].pop("422", None)
    refusals = {"503"} if path in OPEN_PATHS else {"401", "503"}
    if method == "post" and path == "/v1/jobs":
        operation["requestBody"] = _form(options, _ANALYSIS, ["file"])
    if "requestBody" in operation:
        refusals |= {"400", "408", "409", "413", "415", "422", "429"}
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    elif operation.get("parameters"):
        refusals |= {"400"}
    if "{" in path:
        refusals |= {"404", "409"} if method == "post" else {"404"}
    for status in sorted(refusals):
        content = {"application/json": {"schema": _ref(Error)}}
        operation["responses"].setdefault(status, {"description": REFUSALS[status], "content": content})
    if path in OPEN_PATHS:
        operation["security"] = []


def _add(schemas: Schema, model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, part in schema.pop("$defs", {}).items():
        schemas.setdefault(name, part)
    schemas.setdefault(model.__name__, schema)


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _once(make: Callable[[], Schema]) -> Callable[[], Schema]:
    made: list[Schema] = []

    def document() -> Schema:
        if not made:
            made.append(make())
        return made[0]

    return document


def _form(options: ServeOptions, fields: Schema, required: list[str]) -> Schema:
    if options.audio_url_hosts:
        hosts = ", ".join(options.audio_url_hosts)
        url = _text(f"In place of `file`: where it is fetched from, by https. Hosts: {hosts}.", format="uri")
        fields = {**fields, "audio_url": url}
        required = [name for name in required if name != "file"]
    schema = {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _texts(description: str, **more: Any) -> Schema:
    return {"type": "array", "items": {"type": "string", **more}, "description": description}


_IDEMPOTENCY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
    "description": "The same value with the same request gives the answer that the first one had.",
}
_FILE: Schema = {
    "type": "string",
    "format": "binary",
    "description": "A file of audio in any common container; it is told by its bytes, not by its name.",
}
_WISHES: Schema = {
    "languages[]": _texts("ISO 639-1 codes that the speech may be in.", pattern=LANGUAGE_CODE),
    "keywords[]": _texts("Names and terms to expect.", pattern=r"\S"),
    "prompt": _text("Text that may have come before."),
    "known_speaker_names[]": {
        **_texts("Names of people whose voices are sent along.", minLength=1, maxLength=64),
        "maxItems": MAX_KNOWN_SPEAKERS,
        "uniqueItems": True,
    },
    "known_speaker_references[]": {
        **_texts("Their voices: `data:audio/wav;base64,...` of 2 to 10 s, in the order of the names."),
        "maxItems": MAX_KNOWN_SPEAKERS,
    },
}
_ANALYSIS: Schema = {"file": _FILE, **_WISHES}
_TRANSCRIPTION: Schema = {
    "file": _FILE,
    "model": _text("All names are the same models: those of the profile.", enum=list(MODELS)),
    "language": _text(
        f"ISO 639-1. Not with `languages[]`, `keywords[]` or `{NEWER_MODELS[0]}`.", pattern=LANGUAGE_CODE
    ),
    **_WISHES,
    "known_speaker_names[]": {
        **_WISHES["known_speaker_names[]"],
        "description": f"Names of people whose voices are sent along. With {' and '.join(NAMING_FORMATS)} alone.",
    },
    "response_format": _text("The kind of answer.", enum=list(FORMATS), default="json"),
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": list(GRANULARITIES)},
        "description": "What `verbose_json` lists.",
    },
    "include[]": {
        "type": "array",
        "items": {"type": "string", "enum": ["logprobs"]},
        "description": "`logprobs`, with `json`: the log probability of each word.",
    },
    "stream": {
        "type": "boolean",
        "default": False,
        "description": "Server-sent events, with `json`, `text` and `diarized_json`; all come once the clip is scored.",
    },
    "temperature": {
        "type": "number",
        "enum": [0],
        "description": f"Nothing is drawn at random. Not with `languages[]`, `keywords[]` or `{NEWER_MODELS[0]}`.",
    },
    "chunking_strategy": _text("Speech is cut at pauses, however it is asked for.", enum=["auto"]),
}
