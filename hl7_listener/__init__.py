"""Bytes in, acknowledgment out.

The way of one message through this room::

    FrameDecoder  (framing.py)         bytes -> frames, in any chunking: pure
      read        (message.py)         frame -> Message, lazily; charset.py, delimiters.py, escapes.py, header.py: pure
        interpret (adt.py)             Message -> PatientUpdate or PersonEvent, or why not; person_fields.py: pure
        Interpreter (interpreter.py)   makes an Arrival (arrival.py) of whatever came, and never stumbles
          Connection (connection.py)   hands it in, portion by portion (intake.py), and limits itself (budget.py)
            Ingest   (ingest.py)       one writer, one fsync for all that wait
              Batch  (batch.py)        look-ups, decisions in order, writes: one transaction
                PersonActs (person_acts.py)  what each message does to the People (people.py) of the batch
                  two_sides (two_sides.py)   of whom A39 and A46 speak, whichever fields say so
            acknowledge (acknowledgment.py), after the commit and from it: pure
    Listener      (server.py)          the port and its connections; over TLS after a Handshake (handshake.py, tls.py)

``client.py`` is the other end: what ``doorstep send``, the demo and the tests speak with.
"""
