"""Every generated file of the repository: written by `make schemas` and `make docs`, compared by a test."""

from pathlib import Path

from voltlync import contract_pages
from voltlync.settings_page import env_example
from voltlync.workspace import ROOT

SCHEMAS = Path("docs/schemas")


def schema_files() -> dict[Path, str]:
    """What `make schemas` writes, by path from the root."""
    return {SCHEMAS / name: text for name, text in contract_pages.schemas().items()}


def pages() -> dict[Path, str]:
    """What `make docs` writes, by path from the root."""
    return {
        Path("docs/events.md"): contract_pages.events_page(),
        Path("docs/asyncapi.json"): contract_pages.asyncapi(),
        Path(".env.example"): env_example(),
    }


def write(files: dict[Path, str], *, root: Path = ROOT) -> list[Path]:
    """Write those that differ and say which."""
    changed = []
    for path, text in files.items():
        target = root / path
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            changed.append(path)
    return changed


def write_schemas(*, root: Path = ROOT) -> list[Path]:
    """Write the schemas, remove those whose message is gone, and say what changed."""
    files = schema_files()
    gone = [path for path in (root / SCHEMAS).glob("*.json") if path.relative_to(root) not in files]
    for path in gone:
        path.unlink()
    return [*write(files, root=root), *(path.relative_to(root) for path in gone)]
