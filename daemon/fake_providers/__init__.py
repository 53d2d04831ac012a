"""Providers that deliver to nobody: an SMTP server, a Notify-like API and an SMS gateway, for demo, trial and tests.

They speak the real protocols over real sockets, misbehave as a :mod:`~daemon.fake_providers.script` tells them, and
write down in a :mod:`~daemon.fake_providers.ledger` what they accepted. For invented people only: the ledger holds the
messages in clear.
"""
