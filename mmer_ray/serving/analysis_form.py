"""What a client asks of `POST /v1/audio/analyses`, at once or as a job."""

from __future__ import annotations

from mmer_ray.serving.form_fields import Fields, expected_of, known_speakers_of
from mmer_ray.serving.form_sound import sound_of
from mmer_ray.serving.interface import Asked
from mmer_ray.serving.upload import Form


async def asked_of(form: Form) -> Asked:
    """Read the form. Raises `ApiError` (400) that names the field."""
    sound, fields = sound_of(form), Fields(form.fields)
    asked = Asked(sound, expected_of(fields), known_speakers_of(fields))
    fields.refuse_others()
    return asked
