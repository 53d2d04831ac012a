"""Style and scripts, from our own port and no other: read once, named after their content, cached for a year."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER: Final = "public, max-age=31536000, immutable"


class Assets:
    """The files of some folders, and those made by the program."""

    def __init__(self, folders: Sequence[Traversable], made: Mapping[str, str], prefix: str = "") -> None:
        """``made`` holds files by name that lie in no folder; ``prefix`` is the path below which all are mounted."""
        self._prefix = prefix
        self._files: dict[str, tuple[bytes, str]] = {}
        self._urls: dict[str, str] = {}
        for folder in folders:
            for file in folder.iterdir():
                self._add(file.name, file.read_bytes())
        for name, text in made.items():
            self._add(name, text.encode())

    def url(self, name: str) -> str:
        """Give the path of a file: it changes with the content, so a cached one is never stale."""
        return self._urls[name]

    @property
    def route(self) -> Route:
        """Serve the files."""
        return Route("/assets/{version}/{name}", self._serve, methods=["GET"])

    def _add(self, name: str, content: bytes) -> None:
        stem, dot, suffix = name.rpartition(".")
        if stem and dot + suffix in _TYPES:
            version = hashlib.sha256(content).hexdigest()[:16]
            self._files[f"{version}/{name}"] = (content, _TYPES[dot + suffix])
            self._urls[name] = f"{self._prefix}/assets/{version}/{name}"

    async def _serve(self, request: Request) -> Response:
        found = self._files.get(f"{request.path_params['version']}/{request.path_params['name']}")
        if found is None:
            raise HTTPException(404)
        content, kind = found
        return Response(content, headers={"content-type": kind, "cache-control": _FOREVER})
