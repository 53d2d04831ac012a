"""How often anything may be tried on the join site, and why that often (SPEC 8).

Windows are counted in the database (:mod:`patient_records.limits`), so that several daemons share one count.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from patient_records.limits import Limit

WRONG_DATES: Final = 5
"""Wrong dates of birth that end a pair, or a link for a new password. Fourteen thousand adults' birthdays are five
guesses' worth of nothing; a person who knows theirs needs one try, and a slip or two."""

_QUARTER: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)

WRONG_BY_ADDRESS: Final = Limit("join_wrong_by_address", 30, _QUARTER)
"""Wrong answers from one network address. A ward's patients behind one address make fewer slips than that; a guesser
of codes gets three thousand a day, of 29**18."""

WRONG_BY_RECORD: Final = Limit("join_wrong_by_record", 15, _DAY)
"""Wrong answers about one person, over all their pairs: three pairs' worth of wrong dates."""

LOGINS_BY_ADDRESS: Final = Limit("join_logins_by_address", 60, _QUARTER)
"""Failed logins from one network address."""

LOGINS_BY_BOTH: Final = Limit("join_logins_by_both", 10, _QUARTER)
"""Failed logins with one email address, known or not, from one network address: more than any owner needs."""

LOGINS_BY_EMAIL: Final = Limit("join_logins_by_email", 60, timedelta(hours=1))
"""The same from everywhere: some 1,400 passwords a day, none of them a common one. So much more than the one before, so
that nobody closes somebody else's account for long by failing on purpose from one place."""

MAILS_BY_EMAIL: Final = Limit("join_mails_by_email", 6, _DAY)
"""Mails to one address: nobody's mailbox is filled through us."""

MAILS_BY_ADDRESS: Final = Limit("join_mails_by_address", 60, _DAY)
"""Mails asked for from one network address."""

LINK_TRIES_BY_ADDRESS: Final = Limit("join_links_by_address", 60, _QUARTER)
"""Links that open nothing, from one network address."""

LOGINS_BY_ACCOUNT: Final = Limit("join_passwords_by_account", 10, _QUARTER)
"""Tries to change a password from within: a session left open is no way to guess it."""
