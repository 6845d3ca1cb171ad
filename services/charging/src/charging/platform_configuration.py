"""The configuration that the platform wants of every charger: `configuration.yaml` beside this file, or the operator's own.

    keys:
      - key: MeterValueSampleInterval
        value: "30"
        between: [10, 30]          # any number from 10 to 30 will do, nothing is sent for it
        fallbacks: []              # lesser values, for a charger that declines the first
        why: one sentence

Read and checked at start-up: a file that can't be read, or a field that we don't know, stops the service with its name.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from charging.domain.configuration import VALUE_CHARACTERS_MAX, Desired
from charging.domain.quirk_profiles import QuirkCatalogue
from charging.domain.redaction import is_secret

VERSION_DIGITS = 16
"""Of the hash that says which desired values a charger was configured to: enough to tell two deployments apart."""


class ConfigurationInvalid(ValueError):
    """The file can't be used: why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Key(_Part):
    key: Annotated[str, Field(min_length=1, max_length=50)]
    value: Annotated[str, Field(max_length=VALUE_CHARACTERS_MAX)]
    between: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    fallbacks: list[Annotated[str, Field(max_length=VALUE_CHARACTERS_MAX)]] = []
    why: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _open(self) -> "_Key":
        if is_secret(self.key):
            raise ValueError(f"{self.key} is a secret: it has no place in a file of defaults")
        return self


class _File(_Part):
    keys: list[_Key]


@dataclass(frozen=True, slots=True)
class PlatformConfiguration:
    """The platform's desired keys, in the order of asking."""

    keys: tuple[Desired, ...]
    version: str
    """Changes with these keys and with the quirk profiles: then chargers are looked at again."""


def load_configuration(file: Path | None, profiles: QuirkCatalogue) -> PlatformConfiguration:
    """The packaged file, or `file`. Raises ConfigurationInvalid."""
    name = str(file) if file is not None else "configuration.yaml"
    try:
        text = file.read_text() if file is not None else (files("charging") / "configuration.yaml").read_text()
        keys = _File.model_validate(yaml.safe_load(text)).keys
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationInvalid(f"{name}: {error}") from error
    names = [key.key.casefold() for key in keys]
    if len(set(names)) != len(names):
        raise ConfigurationInvalid(f"{name}: a key is named twice")
    wished = tuple(
        Desired(key.key, key.value, (key.between[0], key.between[1]) if key.between else None, tuple(key.fallbacks))
        for key in keys
    )
    return PlatformConfiguration(wished, _version(wished, profiles))


def _version(keys: Sequence[Desired], profiles: QuirkCatalogue) -> str:
    said = [[key.key, key.value, key.between, key.fallbacks] for key in keys]
    quirks = [
        [profile.name, profile.vendors, profile.models, profile.firmware, sorted(profile.quirks.items())]
        for profile in profiles.profiles
    ]
    digest = hashlib.sha256(json.dumps([said, quirks], default=str, sort_keys=True).encode())
    return digest.hexdigest()[:VERSION_DIGITS]
