"""Making a System Client at the command line: the client, and what the audit trail says of it, in one transaction."""

from __future__ import annotations

import os
from datetime import datetime

from sqlalchemy import Connection

from daemon.bootstrap import House
from daemon.operator_name import operator
from patient_records.audit import AuditEntry
from patient_records.audit_actions import Action
from web.access.clients import Clients, NewClient, Scope


def add(
    house: House, connection: Connection, label: str, organisation: str, *, scope: Scope, now: datetime
) -> NewClient:
    """Make it, in the caller's transaction; the secret is in what this gives and nowhere else."""
    made = Clients(house.ids, os.urandom).add(connection, label, organisation, scope, now)
    detail = {"client": made.client.client_id, "scope": scope.value}
    house.audit.append(connection, [AuditEntry(operator(), Action.CLIENT_ADDED, organisation, detail=detail)], now)
    return made
