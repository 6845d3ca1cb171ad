"""Every setting of every service, read from its settings class: `.env.example` is written from this, and tests hold on to it."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from contracts.topology import SERVICES

ELSEWHERE = {
    "VOLTLYNC_ADMIN_DATABASE_URL": "an administrator's postgresql:// address, for `voltlync provision` alone",
    "VOLTLYNC_ADMIN_AMQP_URL": "an administrator's amqp:// address, for `voltlync provision` and `voltlync dead`",
    "VOLTLYNC_ADMIN_RABBITMQ_URL": "the broker's management API with an administrator's password, for `voltlync provision`",
    "VOLTLYNC_ROOT": "where services/*/migrations are found, in the operator's image",
    "VOLTLYNC_RUN_DIR": "where `make run` keeps data, logs and credentials, in place of .run",
    "VOLTLYNC_HEALTH_URL": "what a container's health check asks",
    "VOLTLYNC_TEST_POSTGRES": "a superuser's address of a PostgreSQL to use in place of a private one (tests and make run)",
    "VOLTLYNC_TEST_RABBITMQ": "an administrator's address of a RabbitMQ to use in place of a private one",
    "VOLTLYNC_TEST_REDIS": "the address of a Redis to use in place of a private one; it will be written to",
}
"""Variables that no service reads."""


@dataclass(frozen=True)
class Setting:
    """One environment variable of one service."""

    variable: str
    description: str
    required: bool
    default: str


def settings_class(package: str) -> type[BaseSettings]:
    """The one settings class that a service's `settings` module defines."""
    module = importlib.import_module(f"{package}.settings")
    classes = [
        candidate
        for candidate in vars(module).values()
        if inspect.isclass(candidate) and issubclass(candidate, BaseSettings) and candidate.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise LookupError(
            f"{package}.settings should define one settings class, it defines {[found.__name__ for found in classes]}"
        )
    return classes[0]


def settings_of(package: str) -> list[Setting]:
    """The service's variables in the order of its class."""
    found = settings_class(package)
    prefix = found.model_config.get("env_prefix", "")
    return [
        Setting(_variable(name, field, prefix), field.description or "", field.is_required(), _shown(field.default))
        for name, field in found.model_fields.items()
    ]


def _variable(name: str, field: FieldInfo, prefix: str) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
    return alias if isinstance(alias, str) else f"{prefix}{name}".upper()


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if default is None or repr(default) == "PydanticUndefined":
        return ""
    return str(getattr(default, "value", default))


def env_example() -> str:
    """`.env.example`: all variables, what is shared by all services first."""
    of_service = {package: settings_of(package) for package in SERVICES}
    users: dict[str, list[str]] = {}
    for package, settings in of_service.items():
        for setting in settings:
            users.setdefault(setting.variable, []).append(package)
    lines = [
        "# Every setting of every service, written by `make docs` from the settings classes. A commented line is a default.",
        "# `make run` needs none of this; `make dotenv` writes a .env with fresh secrets for docker compose.",
        "",
        "# -- shared by several services; secrets differ per service (each has its own broker user and database role)",
    ]
    shown: set[str] = set()
    sections = [("", [setting for settings in of_service.values() for setting in settings if len(users[setting.variable]) > 1])]
    sections += [
        (package, [setting for setting in settings if len(users[setting.variable]) == 1])
        for package, settings in of_service.items()
    ]
    for package, settings in sections:
        if package and settings:
            lines += ["", f"# -- {package}"]
        for setting in settings:
            if setting.variable in shown:
                continue
            shown.add(setting.variable)
            lines.append(f"# {setting.description}{'; required' if setting.required else ''}")
            lines.append(f"{setting.variable}=" if setting.required else f"#{setting.variable}={setting.default}")
    lines += ["", "# -- the command, the image, and the tests' kit"]
    lines += [line for variable, sentence in ELSEWHERE.items() for line in (f"# {sentence}", f"#{variable}=")]
    return "\n".join(lines) + "\n"
