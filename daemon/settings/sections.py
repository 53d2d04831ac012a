"""Every setting: its name, its type, its default and its sentence (SPEC 2).

Each section is one small frozen part, to be handed to whoever needs it and to nobody else. Names and defaults are a
promise to everyone who has a configuration file.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator
from sqlalchemy.engine import make_url

from daemon.settings.delivery import Delivery
from daemon.settings.faces import Api, Fhir, Join
from daemon.settings.invitations import Invitations
from daemon.settings.listener import Listener
from daemon.settings.secret import Secret
from daemon.settings.section import Section
from daemon.settings.value_types import DatabaseUrl, Duration, FilePath, Flag, Language, Many, Name, Zone
from daemon.settings.wording import Wording


class Database(Section):
    """[database]: where everything is kept."""

    url: DatabaseUrl = Secret("sqlite:///doorstep-data/doorstep.db")
    """``sqlite:///path`` or ``postgresql+psycopg://...``; a secret, for it may hold a password."""
    migrate_on_start: Flag = False
    """Whether ``serve`` may migrate PostgreSQL; SQLite always migrates itself."""

    @property
    def location(self) -> str:
        """The database without user, password and options: what may be logged."""
        url = make_url(self.url.reveal())
        return f"{url.drivername}://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"


class Keys(Section):
    """[keys]: what opens the records."""

    file: FilePath = Path("doorstep-data/keys.json")
    """The key file, absolute once loaded."""


class Organisation(Section):
    """[organisation] and each of [[organisations]]: a hospital as its patients meet it."""

    code: Name = "RX1"
    """Its ODS code."""
    name: Annotated[str, Field(min_length=1, max_length=100)] = "Example Hospital"
    """Its name in messages to patients."""
    contact: Annotated[str, Field(min_length=1, max_length=100)] = "01632 960000"
    """The telephone number for patients' questions."""
    timezone: Zone = "Europe/London"
    """The IANA zone of its dates, and of times that senders give without an offset."""
    language: Language = "en"
    """The language of wording for patients who prefer none."""


class Senders(Section):
    """[senders]: the profiles of those who send."""

    folder: FilePath = Path("senders")
    """Where sender profiles are (NAME.toml); it need not be there. Absolute once loaded."""


class Serve(Section):
    """[serve]: the daemon itself."""

    stop_deadline: Duration = timedelta(seconds=30)
    """How long a stop may take to finish the work in hand."""


class Settings(Section):
    """The whole configuration. ``Settings()`` is the defaults, with relative paths left relative."""

    database: Database = Database()
    keys: Keys = Keys()
    organisation: Organisation = Organisation()
    organisations: Many[Organisation] = ()
    """More organisations, with the same keys."""
    listeners: Many[Listener] = (Listener(),)
    """One for each port."""
    senders: Senders = Senders()
    api: Api = Api()
    fhir: Fhir = Fhir()
    join: Join = Join()
    serve: Serve = Serve()
    invitations: Invitations = Invitations()
    delivery: Delivery = Delivery()
    wording: Wording = Wording()

    @model_validator(mode="before")
    @classmethod
    def _listeners_belong(cls, given: object) -> object:
        """Give each listener that does not say so its organisation, and that organisation's zone."""
        if not isinstance(given, dict):
            return given
        listeners = given.get("listeners", [{}])
        if not isinstance(listeners, list):
            return given
        return {**given, "listeners": [_belonging(listener, given) for listener in listeners]}

    @property
    def all_organisations(self) -> tuple[Organisation, ...]:
        """[organisation] first, then [[organisations]]."""
        return (self.organisation, *self.organisations)


def _belonging(listener: object, given: dict[str, Any]) -> object:
    """Complete one raw listener. Whatever is not yet known to be sound is left for the validators to name."""
    if not isinstance(listener, dict):
        return listener
    first = given.get("organisation", {})
    others = given.get("organisations", [])
    known = [one for one in [first, *(others if isinstance(others, list) else [])] if isinstance(one, dict)]
    code = listener.get("organisation", first.get("code", "RX1") if isinstance(first, dict) else "RX1")
    own = next((one for one in known if one.get("code", "RX1") == code), {})
    return {"organisation": code, "timezone": own.get("timezone", "Europe/London"), **listener}
