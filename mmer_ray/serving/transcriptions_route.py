"""`POST /v1/audio/transcriptions`: OpenAI's contract over the models of the profile."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mmer_ray.records import ScoredRecording
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.descriptions import transcription_operation
from mmer_ray.serving.exchange import answered
from mmer_ray.serving.form_fields import called_as_sent
from mmer_ray.serving.form_sound import sound_of
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.service import Service
from mmer_ray.serving.transcription_events import MEDIA_TYPE, events, frame
from mmer_ray.serving.transcription_form import TranscriptionRequest, transcription_request
from mmer_ray.serving.transcription_formats import transcription
from mmer_ray.serving.upload import received_form

PATH = "/v1/audio/transcriptions"


def transcriptions_router(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["audio"])

    @router.post(PATH, response_class=Response, **transcription_operation(service.options))
    async def create_transcription(request: Request) -> Response:
        """Transcribe one recording; the answer is waited for. Longer audio is for `/v1/jobs`."""
        form = await received_form(request, service.options)
        # First: nothing is fetched for a request that is off, or that was answered before.
        wanted = transcription_request(form.fields)

        async def answer() -> Response:
            sound = sound_of(await service.audio_urls.filled(form, service.options.max_body_bytes))
            asked = Asked(sound, wanted.expected, wanted.known_speakers)
            return _response(await _scored(service, request, asked, wanted), wanted)

        return await service.idempotency.once(request, form, answer, is_stream=wanted.stream)

    return router


async def _scored(service: Service, request: Request, asked: Asked, wanted: TranscriptionRequest) -> ScoredRecording:
    try:
        return await answered(service, request, asked)
    except ApiError as error:
        raise called_as_sent(error, languages="languages[]" if wanted.is_newer else "language") from error


def _response(scored: ScoredRecording, wanted: TranscriptionRequest) -> Response:
    if wanted.stream:
        # Proxies that hold answers back until they are whole are told not to.
        return StreamingResponse(_frames(scored, wanted), headers={"X-Accel-Buffering": "no"}, media_type=MEDIA_TYPE)
    body = transcription(scored, wanted)
    return Response(body.content, media_type=body.media_type)


async def _frames(scored: ScoredRecording, wanted: TranscriptionRequest) -> AsyncIterator[bytes]:
    for event in events(scored, wanted):
        yield frame(event)
