"""The quirk profiles: YAML files beside this one, a file per vendor, and those of the operator's own directory.

    profiles:
      - name: grizzl-e                     # unique; one in the operator's directory replaces ours of the same name
        match:
          vendor: ["Grizzl-E*", "United Chargers*"]   # globs of what BootNotification says, case makes no difference
          model: "Smart*"                              # left out: all models
          firmware: ">=5.0 <6.0"                       # comparisons with its number, or a glob; left out: all
        quirks:                            # what `PATCH /v1/chargers/{id}` takes as `quirks`; left out: nothing to set
          session_relative_register: true
        evidence:
          - {row: 62, source: "HA#2093", says: "samples 104, 228, 353 while meterStart is 4076400"}
        notes: For people.

They are read and checked at start-up: a file that can't be read, or a field that we don't know, stops the service with its name.
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from charging.domain.quirk_profiles import Evidence, Profile, QuirkCatalogue, is_firmware_pattern
from charging.views.quirks import Quirks

FILE_PATTERN = "*.yaml"


class QuirkProfilesInvalid(ValueError):
    """A profile file that can't be used: which, and which field of it."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Globs = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Match(_Part):
    vendor: Globs
    model: Globs | None = None
    firmware: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("firmware")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None and not is_firmware_pattern(text):
            raise ValueError("neither a glob nor comparisons like '>=6.0 <6.8'")
        return text


class _Evidence(_Part):
    row: int = Field(ge=0)
    source: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]


class _Profile(_Part):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    match: _Match
    quirks: Quirks = Field(default_factory=Quirks)
    evidence: list[_Evidence] = Field(min_length=1)
    notes: str = ""


class _File(_Part):
    profiles: list[_Profile] = Field(min_length=1)


def load_profiles(directory: Path | None = None) -> QuirkCatalogue:
    """The packaged profiles and those of `directory`. Raises QuirkProfilesInvalid, naming file and field."""
    profiles: dict[str, Profile] = {}
    for name, text in _packaged():
        _add(profiles, name, text, local=False)
    if directory is not None:
        if not directory.is_dir():
            raise QuirkProfilesInvalid(f"{directory}: VOLTLYNC_QUIRK_PROFILES_DIR is no directory")
        for path in sorted(directory.glob(FILE_PATTERN)):
            _add(profiles, path.name, path.read_text(encoding="utf-8"), local=True)
    return QuirkCatalogue(list(profiles.values()))


def _packaged() -> Iterator[tuple[str, str]]:
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(FILE_PATTERN.removeprefix("*")):
            yield entry.name, entry.read_text(encoding="utf-8")


def _add(profiles: dict[str, Profile], file: str, text: str, *, local: bool) -> None:
    try:
        read = _File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise QuirkProfilesInvalid(f"{file}: not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise QuirkProfilesInvalid(f"{file}: {where}: {first['msg']}") from error
    for entry in read.profiles:
        known = profiles.get(entry.name)
        if known is not None and known.local == local:
            raise QuirkProfilesInvalid(f"{file}: profile {entry.name} is in {known.file} already")
        profiles[entry.name] = Profile(
            name=entry.name,
            file=file,
            vendors=tuple(entry.match.vendor),
            models=tuple(entry.match.model or ()),
            firmware=entry.match.firmware,
            quirks=entry.quirks.said(),
            evidence=tuple(Evidence(row=item.row, source=item.source, says=item.says) for item in entry.evidence),
            notes=entry.notes.strip(),
            local=local,
        )
