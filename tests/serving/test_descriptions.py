"""The OpenAPI document says what the endpoint takes and gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from pydantic import TypeAdapter

from mmer_ray.serving.transcription_form import transcription_request
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.endpoint import Endpoint, endpoint

TRANSCRIPTIONS = "/v1/audio/transcriptions"
ROUTES = {
    ("post", TRANSCRIPTIONS),
    ("post", "/v1/audio/analyses"),
    ("post", "/v1/jobs"),
    ("get", "/v1/jobs"),
    ("get", "/v1/jobs/{job_id}"),
    ("delete", "/v1/jobs/{job_id}"),
    ("post", "/v1/jobs/{job_id}/cancel"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{model_id}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(CheapScorers(), tmp_path_factory.mktemp("state")) as one:
        yield one


@pytest.fixture(scope="module")
def document(running: Endpoint) -> dict[str, Any]:
    # No key: the document is open.
    return cast(dict[str, Any], httpx.get(f"{running.address}/openapi.json", trust_env=False).json())


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def form_fields(document: dict[str, Any], path: str) -> dict[str, Any]:
    body = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    return cast(dict[str, Any], body["properties"])


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert operations(document).keys() == ROUTES
    assert all(one.get("summary") for one in operations(document).values())


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    found = set(references(document))

    assert found
    assert {reference.removeprefix("#/components/schemas/") for reference in found} <= schemas.keys()


def test_refusals_have_the_one_shape(document: dict[str, Any], running: Endpoint) -> None:
    for (_, path), operation in operations(document).items():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"]["application/json"]["schema"]["$ref"].endswith("/Error"), (path, status)
    with running.client() as client:
        error = client.post(TRANSCRIPTIONS).json()["error"]
    assert error.keys() == document["components"]["schemas"]["ErrorPart"]["properties"].keys()


def test_keys_are_asked_for_where_the_document_says_so(document: dict[str, Any], running: Endpoint) -> None:
    for (method, path), operation in operations(document).items():
        response = httpx.request(method, running.address + path, trust_env=False)
        assert (response.status_code == 401) == ("401" in operation["responses"]) == ("security" not in operation), path


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/jobs", {"GET", "POST"}), ("/v1/jobs/none", {"GET", "DELETE"}), (TRANSCRIPTIONS, {"POST"})],
)
def test_a_method_that_is_not_taken_is_told_which_are(running: Endpoint, path: str, methods: set[str]) -> None:
    with running.client() as client:
        response = client.put(path)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == methods


def test_every_field_of_the_form_is_taken_and_every_value_of_its_lists(document: dict[str, Any]) -> None:
    alone = {"known_speaker_names[]", "known_speaker_references[]"}
    for name, schema in form_fields(document, TRANSCRIPTIONS).items():
        if name == "file" or name in alone:
            continue
        items = schema.get("items", schema)
        for value in items.get("enum", ["en" if "pattern" in items else "true"]):
            needed = {"timestamp_granularities[]": [("response_format", "verbose_json")]}.get(name, [])
            model = [("model", "whisper-1")] if name != "model" else []
            transcription_request([*model, *needed, (name, str(value))])


def test_fastapis_own_pages_which_load_from_elsewhere_are_off(running: Endpoint) -> None:
    with running.client() as client:
        assert client.get("/redoc").status_code == 404
        docs = client.get("/docs")
    assert docs.status_code == 404 or "cdn" not in docs.text


def test_the_document_is_valid_json_schema(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    TypeAdapter(dict[str, dict[str, Any]]).validate_python(document["components"]["schemas"])
