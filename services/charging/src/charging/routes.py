"""The HTTP door: method, path → use case, roles."""

from chassis.web import Errors, Route

ROUTES: tuple[Route, ...] = ()
ERRORS: Errors = {}
