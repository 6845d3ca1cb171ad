"""The sign-in page: pick who you want to be. No password, since nothing real is behind it."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from identity_simulator.personas import PERSONAS

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to the sandbox</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 10vh auto; padding: 0 1rem; }}
  body {{ color: #14212b; background: #fff; }}
  ul {{ list-style: none; padding: 0; }}
  a {{ display: block; padding: .8rem 1rem; margin: .5rem 0; border: 1px solid #c5d0d8; border-radius: .5rem;
      color: inherit; text-decoration: none; }}
  a:hover, a:focus-visible {{ border-color: #0b6e4f; outline: 2px solid #0b6e4f; }}
  small {{ color: #51616d; }}
</style>
</head>
<body>
<main>
<h1>Sign in to the sandbox</h1>
<p>This stands in for the identity provider. Who are you today?</p>
<ul>
{choices}
</ul>
</main>
</body>
</html>
"""


def persona_picker(parameters: Mapping[str, str]) -> str:
    """The page, each persona a link that repeats the authorization request with the choice made."""
    choices = []
    for role, persona in PERSONAS.items():
        link = "/authorize?" + urlencode({**parameters, "persona": role})
        words = f"<strong>{escape(persona.name)}</strong>, {role}<br><small>{escape(persona.about)}</small>"
        choices.append(f'<li><a href="{escape(link)}">{words}</a></li>')
    return _PAGE.format(choices="\n".join(choices))
