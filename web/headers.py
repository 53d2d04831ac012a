"""Headers that every answer carries."""

from __future__ import annotations


def plain_headers() -> dict[str, str]:
    """For answers that no browser should keep, guess about or put into a frame."""
    return {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
    }
