"""The configuration: read once, validated whole, handed on as small frozen parts; nothing else reads the environment.

Where a value comes from, the first that has it: the environment (``DOORSTEP_API__PORT``), the file (``--config``, else
``$DOORSTEP_CONFIG``, else ``./doorstep.toml``), the default in :mod:`daemon.settings.sections`. The way of a
configuration::

    find, read    -> a TOML document        document.py
    override      -> the same, overlaid     environment.py
    validate      -> Settings               sections.py, value_types.py
    contradict    -> nothing, or faults     consistency.py
    load does all of it, or raises ConfigurationFaults, every fault with its place and mend
"""

from daemon.settings.document import find
from daemon.settings.faults import ConfigurationFaults, Fault, as_json, for_people
from daemon.settings.load import load
from daemon.settings.secret import Secret
from daemon.settings.sections import (
    Api,
    Database,
    Delivery,
    Email,
    Invitations,
    Join,
    Keys,
    Letter,
    Listener,
    Organisation,
    Serve,
    Settings,
    Sms,
    Smtp,
    Spool,
)

__all__ = [
    "Api",
    "ConfigurationFaults",
    "Database",
    "Delivery",
    "Email",
    "Fault",
    "Invitations",
    "Join",
    "Keys",
    "Letter",
    "Listener",
    "Organisation",
    "Secret",
    "Serve",
    "Settings",
    "Sms",
    "Smtp",
    "Spool",
    "as_json",
    "find",
    "for_people",
    "load",
]
