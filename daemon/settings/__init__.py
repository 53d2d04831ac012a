"""The configuration: read once, validated whole, handed on as small frozen parts; nothing else reads the environment.

Where a value comes from, the first that has it: the environment (``DOORSTEP_API__PORT``), the file (``--config``, else
``$DOORSTEP_CONFIG``, else ``./doorstep.toml``), the default in :mod:`daemon.settings.sections`
and the parts that it is made of. The way of a
configuration::

    find, read    -> a TOML document        document.py
    override      -> the same, overlaid     environment.py
    validate      -> Settings               sections.py (listener, invitations, delivery, faces), value_types.py
    contradict    -> nothing, or faults     consistency.py
    load does all of it, or raises ConfigurationFaults, every fault with its place and mend
"""

from daemon.settings.delivery import Delivery, DropFolder, Email, Letter, Sms, Smtp, Spool
from daemon.settings.document import find
from daemon.settings.faces import Api, Join
from daemon.settings.faults import ConfigurationFaults, Fault, as_json, for_people
from daemon.settings.invitations import Invitations
from daemon.settings.listener import Listener
from daemon.settings.load import load
from daemon.settings.secret import Secret
from daemon.settings.sections import Database, Keys, Organisation, Serve, Settings
from daemon.settings.wording import Wording

__all__ = [
    "Api",
    "ConfigurationFaults",
    "Database",
    "Delivery",
    "DropFolder",
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
    "Wording",
    "as_json",
    "find",
    "for_people",
    "load",
]
