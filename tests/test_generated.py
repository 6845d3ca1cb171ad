"""Generated files are what the code would generate: a change of a contract or a setting shows in its own diff."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from contracts.base import all_contracts
from voltlync import contract_pages, generated

ROOT = Path(__file__).resolve().parents[1]


def test_the_schemas_are_up_to_date() -> None:
    written = {path.relative_to(ROOT): path.read_text() for path in (ROOT / generated.SCHEMAS).glob("*.json")}
    assert written == generated.schema_files(), "run `make schemas`, and look at the diff: contracts are only ever extended"


@pytest.mark.parametrize("name", sorted(all_contracts()))
def test_every_schema_is_valid(name: str) -> None:
    schema = json.loads((ROOT / generated.SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == name
    assert schema["description"], f"{name} has no docstring"


def test_the_pages_are_up_to_date() -> None:
    stale = [
        str(path) for path, text in generated.pages().items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    ]
    assert not stale, "run `make docs`"


def test_asyncapi_refers_to_nothing_that_is_not_there() -> None:
    document = json.loads(contract_pages.asyncapi())

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            return [node["$ref"]] if "$ref" in node else [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    for reference in set(references(document)):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, f"{reference} leads nowhere"
            node = node[part]
    sent = {
        message["$ref"]
        for operation in document["operations"].values()
        if operation["action"] == "send"
        for message in operation["messages"]
    }
    assert len(sent) >= 10
    assert set(document["components"]["messages"]) == set(all_contracts())
