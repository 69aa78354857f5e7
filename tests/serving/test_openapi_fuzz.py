"""Requests made from the endpoint's own OpenAPI document, those that fit it and those that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.serving.cheap_scorers import CheapScorers
from tests.serving.endpoint import Endpoint, endpoint

OK_CHECKS = [content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("num_examples", [8, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])])
def test_no_request_made_from_the_document_meets_a_bug(num_examples: int, tmp_path: Path) -> None:
    with endpoint(CheapScorers(), tmp_path / "state", max_jobs=50) as served:
        schema = schemathesis.openapi.from_url(f"{served.address}/openapi.json")
        names = []
        for operation in schema.get_all_operations():
            names.append(operation.ok().label)
            for mode in GenerationMode:
                _try(operation.ok(), mode, served, num_examples)
        assert {"POST /v1/audio/transcriptions", "GET /v1/jobs/{job_id}", "GET /readyz"} <= set(names)
        with served.client() as client:
            assert client.get("/readyz").status_code == 200


def _try(operation: Any, mode: GenerationMode, served: Endpoint, num_examples: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=num_examples,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case) -> None:
        case.headers["Authorization"] = f"Bearer {served.key}"
        answer = case.call(timeout=30)
        assert answer.status_code < 500 or answer.status_code == 503, f"{case.as_curl_command()}: {answer.text}"
        if answer.status_code < 300:
            case.validate_response(answer, checks=OK_CHECKS)
        elif answer.headers.get("content-type") == ["application/json"]:
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code", "request_id"}

    try:
        check()
    except Unsatisfiable:
        # An operation without parameters and body has no requests that do not fit.
        assert mode is GenerationMode.NEGATIVE
