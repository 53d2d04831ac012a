"""What can go wrong between bytes and an acknowledgment, named by what to do next.

Errors carry a code and, where there is one, an offset or a location; never content. Expected results (duplicate,
stale, held, ignored) are values, not errors.
"""

from __future__ import annotations

from hl7_listener.header import Header


class ListenerError(Exception):
    """Base of this package's errors. ``code`` is a fixed word that is safe in logs, metrics and the quarantine."""

    def __init__(self, code: str) -> None:
        """Keep the code; it is all that ``str`` shows."""
        super().__init__(code)
        self.code = code


class Unreadable(ListenerError):
    """Bytes that are no message: answer AR, keep the bytes in quarantine.

    Codes: ``empty`` (nothing but fillers), ``no_msh`` (it does not start with MSH), ``no_delimiter`` (MSH is not
    followed by a field separator). ``header`` is what could be salvaged, so that there is an answer all the same.
    """

    def __init__(self, code: str, header: Header) -> None:
        """Keep the code and the salvaged header."""
        super().__init__(code)
        self.header = header


class Unframeable(ListenerError):
    """A payload that holds VT or FS and so cannot travel in a frame: refuse to send it."""
