"""The staff's pages on the api port, below ``/staff``: Team Coordinators at work, and how the service does.

:mod:`~web.ops.accounts` says who they are and :mod:`~web.ops.sessions` who is logged in.
"""
