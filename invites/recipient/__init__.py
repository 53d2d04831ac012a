"""Who can be reached, how, and under which name and address.

The path of one person: :func:`~invites.recipient.reach.usable_channels` says which channels could carry an invitation
(asked for every message that changes a person, so it is quick), :func:`~invites.recipient.reach.reachable` gives the
number, address or envelope to write to. The two never disagree: a channel is usable exactly when somebody is reachable
by it. :func:`~invites.recipient.reach.obstacle` says why not, for those who ask.
"""

from __future__ import annotations

from invites.recipient.person_name import full_name
from invites.recipient.reach import Recipient, obstacle, reachable, usable_channels

__all__ = ["Recipient", "full_name", "obstacle", "reachable", "usable_channels"]
