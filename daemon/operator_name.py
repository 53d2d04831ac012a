"""Who works at the command line, for the audit trail: the login name on this machine, as the machine tells it."""

from __future__ import annotations

import getpass

from patient_records.audit import Actor
from patient_records.audit_actions import ActorKind


def operator() -> Actor:
    """The operator; without a name where the machine knows none."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return Actor(ActorKind.OPERATOR, name)
