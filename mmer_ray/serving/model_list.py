"""`GET /v1/models`: the names that `model` takes. All are the same models, those of the profile."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.form_fields import shown
from mmer_ray.serving.service import Service
from mmer_ray.serving.transcription_form import MODELS

PATH = "/v1/models"
OWNER = "mmer_ray"


class ModelName(BaseModel):
    """A name that `model` takes."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """Seconds since 1970 (UTC) at which this endpoint began to serve."""
    owned_by: str = OWNER


class ModelNames(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelName]


def models_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix=PATH, tags=["models"])

    @router.get("")
    async def list_models() -> ModelNames:
        """The names that `model` takes. They are aliases: what answers is stated in every analysis."""
        return ModelNames(data=[ModelName(id=name, created=service.opened_s) for name in MODELS])

    @router.get("/{model_id}")
    async def get_model(model_id: str) -> ModelName:
        """One of them."""
        if model_id not in MODELS:
            message = f"{shown(model_id)} is not one of {', '.join(MODELS)}"
            raise ApiError(404, "model_not_found", message, "model")
        return ModelName(id=model_id, created=service.opened_s)

    return router
