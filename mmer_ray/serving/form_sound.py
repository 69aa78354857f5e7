"""The sound of a form: its one file."""

from __future__ import annotations

from pathlib import Path

from mmer_ray.serving.api_errors import ApiError, invalid
from mmer_ray.serving.upload import Form

FIELD = "file"


def sound_of(form: Form) -> bytes | Path:
    """The sound that a form brings. Raises `ApiError` (400) that names the field, also for a second file."""
    for upload in form.files:
        if upload.field != FIELD:
            raise ApiError(400, "unknown_field", f"{upload.field}: no file is taken here; send {FIELD}", upload.field)
    if len(form.files) > 1:
        raise invalid(FIELD, f"{len(form.files)} files; send one in a request")
    as_text = any(name == FIELD for name, _ in form.fields)
    if form.files and as_text:
        raise invalid(FIELD, "sent as a file and as text; send the file alone")
    if not form.files:
        hint = "sent as text; send it with a file name" if as_text else "this field is required"
        raise ApiError(400, "missing_field", f"{FIELD}: {hint}", FIELD)
    return form.files[0].sound
