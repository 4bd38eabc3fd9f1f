"""The OpenAPI document says what the service does: schemathesis tries every operation of it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from residua.service.schemas import ScoreResponse

OPERATIONS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/problems/{slug}"),
    ("GET", "/v1/session"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{name}"),
    ("POST", "/v1/models/{name}/score"),
    ("POST", "/v1/models/{name}/drift/reset"),
    ("POST", "/v1/models/{name}/recalibration/preview"),
    ("POST", "/v1/models/{name}/recalibration"),
    ("GET", "/v1/reviews/queue"),
    ("GET", "/v1/reviews/summary"),
    ("GET", "/v1/reviews/export"),
    ("GET", "/v1/reviews/{id}"),
    ("GET", "/v1/reviews/{id}/picture"),
    ("GET", "/v1/reviews/{id}/views"),
    ("PUT", "/v1/reviews/{id}/judgement"),
    ("DELETE", "/v1/reviews/{id}/judgement"),
    ("DELETE", "/v1/reviews/{id}"),
]


def queries_of(operation: Any) -> set[str]:
    return {one["name"] for one in operation.definition.raw.get("parameters", [])}


@pytest.fixture(scope="module")
def schema(run_once: Any) -> Any:
    return schemathesis.openapi.from_url(f"{run_once.url}/openapi.json")


def test_every_operation_of_the_document_is_tried(schema: Any) -> None:
    found = [one.ok() for one in schema.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in found} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=" ".join)
def test_every_answer_is_one_that_the_document_describes(
    run_once: Any, schema: Any, odd: list[bytes], method: str, path: str
) -> None:
    # Some of the numbers that are tried are of pictures that are there.
    run_once.score(*odd[:5])
    operation = schema[path][method]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in modes)

    # In a query everything is text: a list of one looks like the text that is asked for.
    texts = [negative_data_rejection] if "model" in queries_of(operation) else []

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(
            headers={"Authorization": run_once.client.headers["Authorization"]},
            excluded_checks=texts,
        )

    check()


def test_the_document_has_examples_of_requests_and_refusals(schema: Any) -> None:
    raw = schema.raw_schema
    score = raw["paths"]["/v1/models/{name}/score"]["post"]
    assert "multipart/form-data" in score["requestBody"]["content"]
    for status in ("400", "404", "413", "415", "422", "429", "503"):
        refused = score["responses"][status]["content"]["application/problem+json"]
        assert refused["example"]["status"] == int(status)
    example = score["responses"]["200"]["content"]["application/json"]["example"]
    assert ScoreResponse.model_validate(example).results
    for name in ("Judgement", "RecalibrationRequest"):
        assert raw["components"]["schemas"][name]["examples"]
