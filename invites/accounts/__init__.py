"""From a pair to an account, and the account's life (SPEC 8). ``web/join`` is only its face.

The way of a person through these files:

1. They enter both codes and their date of birth: :mod:`~invites.accounts.challenge` opens the record with the pair, and
   without the organisation key, or says that it does not, after the same work whatever is wrong.
2. They choose an address and a password: :mod:`~invites.accounts.registration` wraps the record key under the password
   (:mod:`~invites.accounts.key_wrap`) and mails a link through the outbox; :mod:`~invites.accounts.confirmation` makes
   them registered, by that link alone.
3. They log in: :mod:`~invites.accounts.login` opens the record with the password. They take another
   (:mod:`~invites.accounts.password_change`), or have forgotten theirs (:mod:`~invites.accounts.password_reset`).

Rows are those of :mod:`~invites.accounts.repository`, links those of :mod:`~invites.accounts.links`;
:mod:`~invites.accounts.emails` looks at addresses, :mod:`~invites.accounts.limits` says how often anything may be
tried. For staff: :mod:`~invites.accounts.closing` ends an account, :mod:`~invites.accounts.lockouts` tells what was
locked, and when.
"""
