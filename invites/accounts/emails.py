"""Email addresses as names of accounts: which can be one, and how one is found without being stored in clear."""

from __future__ import annotations

import unicodedata

from email_validator import EmailNotValidError, validate_email

from patient_records.blind_index import BlindIndex

LONGEST = 254
"""Characters (RFC 5321, 4.5.3.1.3, less the brackets)."""


class Emails:
    """Blind indexes of addresses. Not those of contact points: nobody can join accounts to records by them."""

    def __init__(self, index: BlindIndex) -> None:
        self._index = index

    def blind(self, email: str) -> bytes:
        """Give the keyed hash that finds the account of an address, however its letters are cased."""
        return self._index.subject("account", plain(email))


def plain(email: str) -> str:
    """Give the one form of all spellings that name one account: limits count under it, or each spelling had its own."""
    return unicodedata.normalize("NFKC", email).casefold()


def mailable(typed: str) -> str | None:
    """Give an address in the form in which it is written to, or None when it can be nobody's.

    Nothing is asked of the network. A domain outside ASCII is taken in its ASCII form; a local part outside ASCII is
    not taken, for hardly any mail server would.
    """
    if len(typed) > LONGEST:
        return None
    try:
        found = validate_email(typed, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        return None
    return found.ascii_email
