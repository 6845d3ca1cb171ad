"""/docs: the API to read and to try, in one page without anything from elsewhere."""

import base64
import hashlib
from functools import cache
from importlib import resources


@cache
def docs_page() -> tuple[str, str]:
    """The page, and its Content-Security-Policy: its own script and style by their hashes, calls to this door, nothing else."""
    assets = resources.files("api_gateway") / "docs"
    script, style = (assets / "docs.js").read_text("utf-8"), (assets / "docs.css").read_text("utf-8")
    page = (assets / "docs.html").read_text("utf-8").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
