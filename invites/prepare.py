"""From claimed entries to messages that are ready to go: the late re-check, and the rendering (SPEC 5.3).

Nothing here writes. The records are read as they are now, in one snapshot; each person is assessed again, their own
invitation aside; the pair is opened and the message rendered and sealed. Rendering a letter takes milliseconds, so it
happens with no transaction open. Each ready message remembers the version of the record that it was made from: marking
it *sending* compares that under a lock, and a record that changed meanwhile sends its entry back to the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from invites import content, repository
from invites.bad_contacts import without_bad
from invites.channels.channel import InvitationText, Refused, Request
from invites.content import Content
from invites.eligibility import Eligible, Ineligible, assess
from invites.invitation import EntryEvent
from invites.legible import legible
from invites.options import InviteOptions, Lane
from invites.outbox import PAYLOAD, REQUEST, OutboxEntry
from invites.purpose import PURPOSES, Purpose
from invites.recipient import reachable
from invites.repository import TokenTimes
from invites.wording.languages import language_of
from invites.wording.phrases import join_link, join_page
from patient_records.model import Masked
from patient_records.repository import OpenRecord, Records
from patient_records.unit_of_work import Database

FAULT_WAIT: Final = timedelta(minutes=10)
"""How long an entry rests that cannot be prepared through a fault of ours (a key, a template): time to mend it."""

encode_request: Final = msgspec.msgpack.Encoder().encode
decode_request: Final = msgspec.msgpack.Decoder(Request).decode


class Ready(Masked, Struct, frozen=True):
    """A message that may be sent, and the version of the record that it was made from."""

    entry: OutboxEntry
    version: int
    request: Request
    sealed_request: bytes


class Dropped(Struct, frozen=True):
    """An entry that is not to be sent now: what befalls it, and why. ``rest`` is for one that is queued again."""

    entry: OutboxEntry
    event: EntryEvent
    code: str
    rest: timedelta | None = None


class Cleared(Struct, frozen=True):
    """An entry that may be sent, with its person as they are now, and the times of their pair if it carries one."""

    entry: OutboxEntry
    person: OpenRecord
    token: TokenTimes | None

    def content(self) -> Content:
        """Open what the entry has to say. Raises SealBroken or msgspec.MsgspecError."""
        return content.decode(self.person.key.open(self.entry.sealed_payload or b"", PAYLOAD, self.entry.id))


class Prepare:
    """Prepares the entries of one lane."""

    def __init__(self, database: Database, records: Records, lane: Lane, options: InviteOptions) -> None:
        self._database = database
        self._records = records
        self._channel = lane.channel
        self._options = options

    def __call__(self, entries: list[OutboxEntry], in_time: Callable[[], bool] = lambda: True) -> list[Ready | Dropped]:
        """Re-check and render each entry. Raises StorageUnavailable.

        Once ``in_time`` says no, the rest is given back unrendered: letters take a while, and what is ready by then
        must still be sent under the lease that it was claimed with. The first is always rendered, so some of each batch
        go out.
        """
        said: list[Ready | Dropped] = []
        for checked in self.recheck(entries):
            if isinstance(checked, Dropped):
                said.append(checked)
            elif said and not in_time():
                said.append(Dropped(checked.entry, EntryEvent.RELEASE, "given_back", timedelta(0)))
            else:
                said.append(self._rendered(checked))
        return said

    def recheck(self, entries: list[OutboxEntry]) -> list[Cleared | Dropped]:
        """Only re-check each entry. Raises StorageUnavailable."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            tokens = repository.token_times(connection, [e.access_token_id for e in entries if e.access_token_id])
            people = legible(self._records.load, connection, {entry.record_id for entry in entries})
            for id_, good in without_bad(connection, [each.record for each in people.values()], self._options).items():
                people[id_] = people[id_].changed(good, people[id_].record.standing)
        return [self._checked(entry, people.get(entry.record_id), tokens, now) for entry in entries]

    def _checked(
        self, entry: OutboxEntry, person: OpenRecord | None, tokens: dict[int, TokenTimes], now: datetime
    ) -> Cleared | Dropped:
        """Clear this entry for sending, or say what keeps it."""
        token = tokens.get(entry.access_token_id) if entry.access_token_id is not None else None
        purpose = PURPOSES.get(entry.purpose)
        if person is None:
            return Dropped(entry, EntryEvent.RELEASE, "record_does_not_open", FAULT_WAIT)
        if person.record.organisation not in self._options.organisations:
            return Dropped(entry, EntryEvent.RELEASE, "organisation_not_configured", FAULT_WAIT)
        if purpose is None:
            return Dropped(entry, EntryEvent.RELEASE, "purpose_not_known", FAULT_WAIT)
        if entry.expires_at <= now:
            return Dropped(entry, EntryEvent.EXPIRE, "expired")
        if entry.access_token_id is not None and (token is None or token.ended):
            return Dropped(entry, EntryEvent.CANCEL, "pair_ended")
        return self._obstacle(entry, purpose, person, now) or Cleared(entry, person, token)

    def _obstacle(self, entry: OutboxEntry, purpose: Purpose, person: OpenRecord, now: datetime) -> Dropped | None:
        """Assess the person again, their own invitation aside; what stops a message depends on its purpose."""
        said = assess(person.record, self._options.policy, self._options.today(now), invited=False)
        reasons = said.reasons if isinstance(said, Ineligible) else ()
        stop = next((reason for reason in reasons if reason in purpose.stopped_by), None)
        if stop is not None:
            return Dropped(entry, EntryEvent.CANCEL, stop.value)
        if isinstance(said, Eligible) and entry.invitation_id is not None:
            lost = entry.channel not in said.channels
        else:
            lost = not purpose.typed and reachable(person.record.demographics, entry.channel) is None
        return Dropped(entry, EntryEvent.REFUSE, "no_contact") if lost else None

    def _rendered(self, cleared: Cleared) -> Ready | Dropped:
        entry, person = cleared.entry, cleared.person
        try:
            request = self._channel.render(self._text(cleared))
        except Exception as fault:  # noqa: BLE001 (whatever one message does, the lane's others go out)
            return Dropped(entry, EntryEvent.RELEASE, f"rendering_{type(fault).__name__}", FAULT_WAIT)
        if isinstance(request, Refused):
            return Dropped(entry, EntryEvent.REFUSE, request.code)
        sealed = person.key.seal(encode_request(request), REQUEST, entry.id)
        return Ready(entry, person.record.version, request, sealed)

    def _text(self, cleared: Cleared) -> InvitationText:
        """Put together what a message may say; secrets ride in the link's fragment, which reaches no server's log."""
        entry, record, said = cleared.entry, cleared.person.record, cleared.content()
        public_url, token = self._options.public_url, cleared.token
        pair_link = join_link(public_url, said.code, said.token) if said.code and said.token else ""
        return InvitationText(
            reference=entry.reference,
            organisation=self._options.organisations[record.organisation],
            demographics=record.demographics,
            code=said.code,
            token=said.token,
            join_link=public_url.rstrip("/") + said.link if said.link else pair_link,
            join_page=join_page(public_url),
            expires_on=self._options.last_sure_day((token or entry).expires_at),
            issued_at=(token or entry).created_at,
            language=said.language or language_of(record.demographics.language),
            purpose=entry.purpose,
            to=said.to,
            secret=said.secret,
            expires_at=entry.expires_at.astimezone(self._options.zone),
        )
