"""What speaks HTTP: [api], the hospital network's face, and [join], the public one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from daemon.settings.faults import Wrong
from daemon.settings.section import Section
from daemon.settings.value_types import Count, FilePathOrNone, Flag, Host, Many, Network, Port, PublicUrl, Systems
from web.pages.theme import DEFAULT_COLOUR, LEAST_CONTRAST, contrast_with_white


def _colour(given: str) -> str:
    try:
        contrast = contrast_with_white(given)
    except ValueError:
        raise Wrong("is no colour", 'Write it as "#rrggbb", such as "#0b3c7d"') from None
    if contrast < LEAST_CONTRAST:
        raise Wrong(
            f"is too light for white text on it (contrast {contrast:.1f} to 1)", "Choose a darker one: 4.5 to 1"
        )
    return given.lower()


Colour = Annotated[str, AfterValidator(_colour)]
"""A colour that white text can be read on."""


class Api(Section):
    """[api]: the hospital network's face (REST, FHIR, ops, metrics)."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8080
    """The port; 0 means any free one."""
    public_url: PublicUrl = "http://127.0.0.1:8080"
    """What staff's browsers call this port: with https, cookies go over TLS alone."""
    requests_per_minute: Count = 600
    """Calls that one client may make in a minute, and bearers that it may ask for; more get 429."""
    trusted_proxies: Many[Network] = ()
    """The proxies in front of it whose X-Forwarded-For is believed, such as ["10.0.0.1/32"]."""


class Fhir(Section):
    """[fhir]: what FHIR identifiers mean beside the NHS number."""

    systems: Systems = {}  # noqa: RUF012 (pydantic copies it)
    """Systems (URIs) of identifiers, each with the authority and type under which the feed sends them."""


class Join(Section):
    """[join]: the public face."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8081
    """The port; 0 means any free one."""
    public_url: PublicUrl = "http://127.0.0.1:8081"
    """What patients' links begin with, without a slash at its end."""
    name: Annotated[str, Field(max_length=100)] = ""
    """What stands in the bar of its pages; empty: the name under [organisation]."""
    colour: Colour = DEFAULT_COLOUR
    """The hospital's colour, ``#rrggbb``, dark enough for white text on it."""
    wording: FilePathOrNone = None
    """A folder with language files of the hospital's own, laid over those that ship; empty: none."""
    password_reset: Flag = True
    """Whether a forgotten password may be replaced by email; if not, the front desk helps."""
    trusted_proxies: Many[Network] = ()
    """The proxies in front of it whose X-Forwarded-For is believed, such as ["10.0.0.1/32"]."""
