"""What can be wrong with a template."""

from __future__ import annotations


class WordingError(Exception):
    """A template that cannot be used: ``template`` is its name, ``code`` what is wrong, ``line`` where, if known.

    It never carries the values that the template was to show.
    """

    def __init__(self, template: str, code: str, line: int | None = None) -> None:
        place = template if line is None else f"{template}, line {line}"
        super().__init__(f"{place}: {code}")
        self.template = template
        self.code = code
        self.line = line
