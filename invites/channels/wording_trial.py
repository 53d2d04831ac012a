"""Every message, written for an invented patient: what it comes to, and what is wrong with it.

What the rules cannot see, a trial can: a code inside a condition that is never true, a text of three parts, a letter of
two pages. Each message is rendered by the very channel that would send it, for each organisation and language, with a
long name and real codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from invites.channels.channel import EMAIL, LETTER, SMS, InvitationText, Organisation, Refused, Request
from invites.channels.email_message import Email
from invites.channels.letter import Letter
from invites.channels.sms import MOST_PARTS, Sms
from invites.channels.wording_rules import Remark
from invites.wording.errors import WordingError
from invites.wording.gsm7 import PART_7BIT, PART_UCS2, SINGLE_7BIT, SINGLE_UCS2, is_gsm7, parts, units
from invites.wording.phrases import in_groups, join_link, join_page
from invites.wording.placeholders import EMAIL_SUBJECT, EMAIL_TEXT, LETTER_TEXT, RULES, SMS_TEXT
from invites.wording.wording import Wording
from patient_records.model import Address, ContactPoint, Demographics, PersonName

CODE: Final = "2345678923"
TOKEN: Final = "BCDFGHJKLM"  # noqa: S105 (an invented one)
SECRET: Final = "NPQRSTVWXYZ2345"  # noqa: S105 (an invented one)

_PATIENT: Final = Demographics(
    names=(PersonName(family="Featherstonehaugh-Llywelyn", given="Alexandra", prefix="Mrs", use="L"),),
    addresses=(Address(("Flat 12", "The Old Coach House", "112 Rosemount Terrace"), "Leeds", "", "LS1 4AP", "", "H"),),
    home=(ContactPoint("mobile", "+447700900123"), ContactPoint("email", "alexandra@example.org")),
)
_FIRST: Final = {SMS: SMS_TEXT, EMAIL: EMAIL_TEXT, LETTER: LETTER_TEXT}
_PAGE_OF: Final = {"confirm_account": "confirm", "reset_password": "reset", "address_in_use": "login"}
_MOMENT: Final = datetime(2026, 9, 30, 16, 45, tzinfo=UTC)
"""A date whose month is among the longest in most languages."""


KeepPictures: TypeAlias = Callable[[str, list[bytes]], tuple[str, ...]]
"""Takes a letter's name and pages (PNG) and gives where they are kept."""


class Trial(Struct, frozen=True, omit_defaults=True):
    """One rendered message.

    ``characters`` of ``room`` in ``parts`` are a text message's, ``subject`` an email's, ``pages`` a letter's.
    """

    organisation: str
    language: str
    purpose: str
    channel: str
    parts: int = 0
    characters: int = 0
    room: int = 0
    alphabet: str = ""
    subject: str = ""
    pages: int = 0
    picture: tuple[str, ...] = ()
    large_print: bool = False


class Trials(Struct):
    """What all trials came to."""

    trials: list[Trial] = msgspec.field(default_factory=list)
    remarks: list[Remark] = msgspec.field(default_factory=list)


def sample(organisation: Organisation, public_url: str, purpose: str, language: str) -> InvitationText:
    """Make a message of that purpose for an invented patient, as long as real ones get."""
    halves = {half for group in RULES[purpose][EMAIL_TEXT].must for half in group}
    account = _PAGE_OF.get(purpose)
    link = join_link(public_url, CODE, TOKEN) if {"code", "token"} <= halves else ""
    return InvitationText(
        reference="0123456789abcdef0123456789abcdef",
        organisation=organisation,
        demographics=_PATIENT,
        code=CODE if "code" in halves else "",
        token=TOKEN if "token" in halves else "",
        join_link=f"{public_url.rstrip('/')}/{account}#s={SECRET}" if account else link,
        join_page=join_page(public_url),
        expires_on=_MOMENT.date(),
        issued_at=datetime(2026, 8, 31, 9, 0, tzinfo=UTC),
        language=language,
        purpose=purpose,
        to="alexandra@example.org" if account else "",
        secret=SECRET if "secret" in halves else "",
        expires_at=_MOMENT,
    )


class WordingTrial:
    """Renders all messages of some organisations with one wording."""

    def __init__(self, wording: Wording, public_url: str) -> None:
        self._wording = wording
        self._public_url = public_url
        self._sms, self._email = Sms(wording), Email(wording)
        self._letters = {"": Letter(wording), "-large": Letter(wording, large_print=True)}

    def run(
        self,
        organisations: Mapping[str, Organisation],
        languages: Mapping[str, frozenset[str]],
        picture: KeepPictures | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> Trials:
        """Render everything in each organisation's languages; ``picture`` keeps a letter's pages (PNG) by its name.

        Without ``picture`` letters are read but not set, which costs milliseconds instead of a second.
        """
        said = Trials()
        for code, organisation in organisations.items():
            for language in sorted(languages[code]):
                for purpose, templates in RULES.items():
                    text = sample(organisation, self._public_url, purpose, language)
                    for channel, what in _FIRST.items():
                        spoken = self._wording.language(f"{purpose}/{what}", language, code)
                        if what in templates and spoken == language:
                            self._try(said, text, channel, picture)
                            progress()
        return said

    def _try(
        self,
        said: Trials,
        text: InvitationText,
        channel: str,
        picture: KeepPictures | None,
    ) -> None:
        name = self._wording.name_of(f"{text.purpose}/{_FIRST[channel]}", text.language, text.organisation.code)
        trial = Trial(text.organisation.code, text.language, text.purpose, channel)
        try:
            if channel == SMS:
                said.remarks.extend(self._text_message(said, trial, text, name))
            elif channel == EMAIL:
                said.remarks.extend(self._email_message(said, trial, text, name))
            else:
                said.remarks.extend(self._printed(said, trial, text, name, picture))
        except ValueError:  # EmailMessage's, of a line break
            subject = f"{name.removesuffix(EMAIL_TEXT)}{EMAIL_SUBJECT}"
            said.remarks.append(Remark(subject, "makes no subject", "Write it on one line"))
        except WordingError as error:
            said.remarks.append(Remark(error.template, f"cannot be written: {error.code}", _CORRECT, error.line))

    def _text_message(self, said: Trials, trial: Trial, text: InvitationText, name: str) -> Iterator[Remark]:
        body = self._sms.text_of(text)
        if body is None:
            mend = "Shorten it, its .short.txt, the organisation's name or join.public_url"
            yield Remark(name, f"needs more than {MOST_PARTS} parts, or a code would straddle two", mend)
            return
        cut = parts(body)
        plain = is_gsm7(body)
        single, each = (SINGLE_7BIT, PART_7BIT) if plain else (SINGLE_UCS2, PART_UCS2)
        room = single if len(cut) == 1 else each * len(cut)
        said.trials.append(
            msgspec.structs.replace(
                trial, parts=len(cut), characters=units(body), room=room, alphabet="GSM-7" if plain else "UCS-2"
            )
        )
        yield from _lacking(name, text, body)
        if not plain:
            odd = " ".join(sorted({character for character in body if not is_gsm7(character)}))
            wrong = f"goes as UCS-2, 67 characters a part instead of 153, for: {odd}"
            yield Remark(name, wrong, "Use other characters, or take the cost", fault=False)

    def _email_message(self, said: Trials, trial: Trial, text: InvitationText, name: str) -> Iterator[Remark]:
        request = self._email.render(text)
        if isinstance(request, Request):
            said.trials.append(msgspec.structs.replace(trial, subject=self._email.subject(text)))
            for part, body in self._email.bodies(text).items():
                yield from _lacking(name.removesuffix(EMAIL_TEXT) + part, text, body)

    def _printed(
        self,
        said: Trials,
        trial: Trial,
        text: InvitationText,
        name: str,
        picture: KeepPictures | None,
    ) -> Iterator[Remark]:
        yield from _lacking(name, text, self._letters[""].words(text), link=False)
        for kind, letter in self._letters.items() if picture else ():
            request = letter.render(text)
            if isinstance(request, Refused):
                size = "in large print " if kind else ""
                yield Remark(name, f"makes a letter that {size}no print house takes ({request.code})", _SHORTEN)
            pages = letter.pictures(text)
            if picture is not None:
                kept = picture(f"{text.organisation.code}-{text.language}-{text.purpose}{kind}", pages)
                said.trials.append(
                    msgspec.structs.replace(trial, pages=len(pages), picture=kept, large_print=bool(kind))
                )


_CORRECT: Final = "Correct the template"
_SHORTEN: Final = "Look at the picture, and shorten or correct the template"


def _lacking(name: str, text: InvitationText, body: str, *, link: bool = True) -> Iterator[Remark]:
    """Find what the finished text does not show, though its template speaks of it."""
    body = body.replace("&amp;", "&")
    beside = body.replace(text.join_link, "") if text.join_link else body
    wanted = {"code": text.code, "token": text.token, "secret": text.secret}
    for placeholder, value in wanted.items():
        if value and value not in beside and in_groups(value) not in beside:
            yield Remark(name, f"shows no {{{{ {placeholder} }}}} when it is written", "Show it whatever else is said")
    if link and text.join_link and text.join_link not in body:
        yield Remark(name, "shows no {{ link }} when it is written", "Show it whatever else is said")
