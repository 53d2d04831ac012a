"""Rules that limit who is invited: a person has to be in one of the cohorts, where there are any (SPEC 5.4).

A cohort is everything that it says, together; what it leaves out admits everybody. It says nothing of pairs that are
asked for by name, and it ends nothing that was sent: a smaller cohort keeps invitations from starting.

A share is taken by a hash of the record's public id, which is random and stays: whoever is in at 10 % is in at 20 %.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Final

from msgspec import Struct

from patient_records.id_time import made_at_ms
from patient_records.model import PatientRecord

_WHOLE: Final = 100


class Cohort(Struct, frozen=True):
    """Who may be invited. Ages in completed years, both ends included; ``postcodes`` are beginnings without blanks.

    ``created_since`` is the first day (UTC) of records that are in; ``percent`` how many of a hundred are.
    """

    organisations: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()
    minimum_age: int | None = None
    maximum_age: int | None = None
    postcodes: tuple[str, ...] = ()
    created_since: date | None = None
    percent: int = _WHOLE

    def admits(self, record: PatientRecord, age: int | None) -> bool:
        """Whether this person of that age (None: not known) is in it."""
        return (
            (not self.organisations or record.organisation in self.organisations)
            and (not self.senders or record.demographics.sender in self.senders)
            and self._age_fits(age)
            and (not self.postcodes or self._lives_there(record))
            and (self.created_since is None or _made_on(record) >= self.created_since)
            and (self.percent >= _WHOLE or share_of(record.public_id) < self.percent)
        )

    def _age_fits(self, age: int | None) -> bool:
        if self.minimum_age is None and self.maximum_age is None:
            return True
        return age is not None and (self.minimum_age or 0) <= age <= (self.maximum_age or 1000)

    def _lives_there(self, record: PatientRecord) -> bool:
        codes = ["".join(address.postcode.split()).upper() for address in record.demographics.addresses]
        return any(code.startswith(self.postcodes) for code in codes)


def share_of(public_id: str) -> float:
    """Where this id lies between 0 and 100, for ever."""
    return int.from_bytes(hashlib.sha256(public_id.encode()).digest()[:4], "big") * _WHOLE / 2**32


def _made_on(record: PatientRecord) -> date:
    return datetime.fromtimestamp(made_at_ms(record.id) / 1000, UTC).date()
