"""Where a request comes from, as far as it can be known: what limits by address are counted under.

Behind a proxy every peer is the proxy; who it is that it speaks for stands in ``X-Forwarded-For``, to which anybody may
have written before. So the list is read from its end, past the proxies that are trusted, and the first address that is
not one of them is the one that the nearest trusted proxy saw itself. IPv6 is counted by its /64, which one household
has to itself (RFC 6177).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from starlette.requests import Request

Network: TypeAlias = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
_MOST_HOPS: Final = 20
_HOUSEHOLD: Final = 64


def network_address(request: Request, proxies: Sequence[Network]) -> str:
    """Give the address that a limit counts; ``proxies`` are the networks whose word is taken."""
    peer = request.client.host if request.client is not None else ""
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-_MOST_HOPS:]
    for hop in (peer, *(part.strip() for part in reversed(told))):
        address = _address(hop)
        if address is None:
            break
        found = address
        if not any(address in network for network in proxies):
            break
    else:
        return _counted(found)
    return _counted(address) if address is not None else _counted(_address(peer))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _counted(address: IPv4Address | IPv6Address | None) -> str:
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), _HOUSEHOLD), strict=False))
    return str(address)
