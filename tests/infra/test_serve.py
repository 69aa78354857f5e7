"""The file for `serve deploy`: Serve knows every name in it, and the application that it names can be made."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from ray.serve.schema import ServeDeploySchema

from mmer_ray.errors import ProfileError
from mmer_ray.runners.online import GATEWAY, HEAD, SCORER, ServeArguments, build

FILE = Path(__file__).parents[2] / "infra" / "serve.yaml"
FREE = {"args": ServeArguments}
"""Fields that Serve leaves to us -> what they are."""


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def unknown_names(table: Any, schema: type[BaseModel], place: str = "") -> Iterator[str]:
    """Keys of a table, and of the tables in it, that are no fields of their schema."""
    for name, value in table.items():
        here = f"{place}.{name}" if place else name
        if name not in schema.model_fields:
            yield here
            continue
        inside = FREE.get(name) or next(iter(models_in(schema.model_fields[name].annotation)), None)
        tables = value if isinstance(value, list) else [value]
        for one in tables:
            if isinstance(one, dict):
                assert inside is not None, f"{here}: what may stand there is not known"
                yield from unknown_names(one, inside, here)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The schemas that a field's type speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def test_serve_knows_every_name() -> None:
    assert list(unknown_names(config(), ServeDeploySchema)) == []
    ServeDeploySchema.model_validate(config())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((), "http_option"),
        (("http_options",), "hots"),
        (("logging_config",), "log_levle"),
        (("applications", 0), "import_pth"),
        (("applications", 0, "args"), "setings"),
        (("applications", 0, "deployments", 0), "max_ongoing_request"),
        (("applications", 0, "deployments", 0, "ray_actor_options"), "num_cpu"),
        (("applications", 0, "deployments", 0, "autoscaling_config"), "max_replica"),
    ],
)
def test_a_misspelt_name_would_be_found_at_every_level(path: tuple[Any, ...], name: str) -> None:
    changed = copy.deepcopy(config())
    changed["applications"][0]["deployments"] = [{"name": SCORER, "ray_actor_options": {}, "autoscaling_config": {}}]
    table = changed
    for step in path:
        table = table[step]
    table[name] = 1
    found = list(unknown_names(changed, ServeDeploySchema))
    assert [one.rpartition(".")[2] for one in found] == [name]


def test_the_application_that_it_names_can_be_made() -> None:
    from ray.serve._private.build_app import build_app

    (wanted,) = config()["applications"]
    module, _, function = wanted["import_path"].partition(":")
    assert getattr(importlib.import_module(module), function) is build

    built = build_app(build(wanted["args"]), name=wanted["name"], route_prefix="/")

    by_name = {one.name: one for one in built.deployments}
    assert set(by_name) == {GATEWAY, SCORER}
    assert built.ingress_deployment_name == GATEWAY
    scorer = by_name[SCORER]
    autoscaling = scorer._deployment_config.autoscaling_config
    assert (autoscaling.min_replicas, autoscaling.max_replicas) == (1, 4)
    assert scorer._deployment_config.max_surge_percent == 25
    assert scorer.max_ongoing_requests > 100, "the batches are formed of many requests"


def test_the_gateway_runs_on_the_head_alone_where_its_state_lies() -> None:
    from ray._common.constants import HEAD_NODE_RESOURCE_NAME
    from ray.serve._private.build_app import build_app

    (wanted,) = config()["applications"]
    built = build_app(build(wanted["args"]), name=wanted["name"], route_prefix="/")

    needed = {one.name: (one.ray_actor_options or {}).get("resources", {}) for one in built.deployments}
    assert needed == {GATEWAY: {HEAD: 0.001}, SCORER: {}}
    assert HEAD == HEAD_NODE_RESOURCE_NAME
    assert "deployments" not in wanted, "options there would override it in silence"


def test_a_state_folder_that_depends_on_where_a_process_runs_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"serve.state: .* absolute path"):
        build({"profile": "synthetic"})
