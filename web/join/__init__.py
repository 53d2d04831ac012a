"""The join site: what patients see, on its own port (SPEC 8).

A person's way through the files: :mod:`~web.join.codes` (both codes, then the date of birth), :mod:`~web.join.account`
(address and password), :mod:`~web.join.confirm` (the link from the mail), :mod:`~web.join.login`, and
:mod:`~web.join.record`; :mod:`~web.join.forgotten` for who lost the password. :mod:`~web.join.site` puts them together.

Each file is a face and no more: it reads a form, asks :mod:`invites.accounts`, and shows a page. What the database is
asked is asked in a thread. A GET changes nothing, so that a scanner of links, which opens everything, spends nothing.
"""
