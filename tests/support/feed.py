"""Person messages for tests that care about the way rather than the content: small, valid, each its own person."""

from __future__ import annotations

from hl7_listener.framing import encode


def a28(  # one keyword for each thing that a test may vary
    person: int | str,
    control_id: str | None = None,
    *,
    event: str = "A28",
    at: str = "20250601120000+0000",
    sender: str = "PAS",
    family: str = "Testperson",
    birth: str = "19800229",
    mobile: str = "07700900123",
    version: str = "2.5",
    header: str = "",
    tail: str = "",
) -> bytes:
    """Build a message for the person with that local number; ``header`` follows MSH-12, ``tail`` follows PID-14."""
    control_id = f"{person}-{event}" if control_id is None else control_id
    return (
        f"MSH|^~\\&|{sender}|RX1|doorstep|RX1|{at}||ADT^{event}|{control_id}|P|{version}{header}\r"
        f"EVN|{event}|{at}\r"
        f"PID|1||{person}^^^RX1^MR||{family}^Tess^^^^^L||{birth}|F|||1 Test Lane^^Exampleton^^EX1 1AA^GBR^H||"
        f"{mobile}^PRN^CP|{tail}\r"
    ).encode()


def stream(*messages: bytes) -> bytes:
    """Frame messages one behind the other."""
    return b"".join(map(encode, messages))
