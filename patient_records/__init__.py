"""What we know of a person, sealed.

The way of one message through this room::

    PatientUpdate (update.py)       what the message says
      reconcile   (reconcile.py)    that, laid over what is stored: pure
      Records     (repository.py)   sealed rows: found by blind index, opened, saved, many at a time
      Journal     (journal.py)      the message itself, sealed, with its outcome and its acknowledgment
      Database    (unit_of_work.py) one transaction for all of it; SQLite and PostgreSQL

``lineage.py`` follows merged records to their survivor, ``effects.py`` keeps what a message did to several people.
``keys.py`` holds the organisation keys, ``sealing.py`` seals, ``blind_index.py`` finds without opening, ``ports.py``
declares what other rooms may hang onto a change. Nothing here knows HL7, invitations or HTTP.
"""
