"""From the systems of FHIR identifiers to the kinds under which records keep theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from hl7_listener.sender_profile import NHS
from patient_records.model import NATIONAL, Identifier
from patient_records.repository import Records
from web.api.fhir_parameters import NHS_NUMBER, FhirIdentifier
from web.api.trouble import Trouble

_BLANKS: Final = str.maketrans("", "", " -\t")


class IdentifierSystems:
    """Knows which system means which kind: the NHS number's, and those configured (``[fhir.systems]``)."""

    def __init__(self, records: Records, configured: Mapping[str, tuple[str, str]]) -> None:
        """``configured`` maps URIs to (authority, type) of identifiers."""
        self._records = records
        self._kinds = {**configured, NHS_NUMBER: NHS}

    @property
    def known(self) -> list[str]:
        """Every system that is understood, the NHS number's first."""
        return [NHS_NUMBER, *sorted(set(self._kinds) - {NHS_NUMBER})]

    def find(self, connection: Connection, asked: Sequence[FhirIdentifier], organisation: str) -> list[int | None]:
        """Which record each of them finds, in their order; a local number is that organisation's own.

        Raises Trouble for a system that is not known: then nothing of the whole request is done (SPEC 7).
        """
        wanted = [self._read(one, place, organisation) for place, one in enumerate(asked)]
        blinds = [self._records.blind_index.identifier(identifier) for identifier in wanted]
        found = self._records.find(connection, set(blinds))
        return [found.get(blind) for blind in blinds]

    def _read(self, asked: FhirIdentifier, place: int, organisation: str) -> Identifier:
        kind = self._kinds.get(asked.system)
        if kind is None:
            sentence = "The identifier's system is not supported here, so nothing was done"
            where = f"$.parameter[{place}].valueIdentifier.system"
            raise Trouble(400, "request.system", sentence, where=where)
        if kind in NATIONAL:
            return Identifier(*kind, asked.value.translate(_BLANKS))
        return Identifier(*kind, asked.value.strip(), organisation)
