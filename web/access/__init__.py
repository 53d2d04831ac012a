"""Who may call: clients with their secrets, and the bearers that they get for them (RFC 6749, 4.4).

A *System Client* is a hospital's system, made by ``doorstep client add``; a Team Coordinator makes a personal one on
their staff page. Both come to :mod:`~web.access.clients`, get a bearer from :mod:`~web.access.bearers` that lives ten
minutes, and have the rights of their organisation and scope, no more. Of secrets and bearers only hashes are kept
(:mod:`~web.access.secret_text`).
"""
