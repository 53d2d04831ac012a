"""What speaks HTTP: [api], the hospital network's face, and [join], the public one."""

from __future__ import annotations

from daemon.settings.section import Section
from daemon.settings.value_types import Host, Port, PublicUrl


class Api(Section):
    """[api]: the hospital network's face (REST, FHIR, ops, metrics)."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8080
    """The port; 0 means any free one."""


class Join(Section):
    """[join]: the public face."""

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8081
    """The port; 0 means any free one."""
    public_url: PublicUrl = "http://127.0.0.1:8081"
    """What patients' links begin with, without a slash at its end."""
