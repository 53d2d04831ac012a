"""The acceptance kit: nasty cases, played against any MLLP listener, with what was expected and what was got.

It is fair to listeners that are not ours. A *must* is what the standard, or plain TCP, asks of everybody: a message is
answered for what it is, and nothing that did not arrive is acknowledged. A *promise* is what doorstep adds (SPEC 3): a
listener that does not keep it is not wrong, only stricter. A case waits for an answer as long as it is told to, and one
that is closed after an answer is connected to again, for nothing obliges a listener to keep a connection.

Everybody in its messages is invented: family name ``ZZTEST-ACCEPTANCE``, numbers of the run's own, no contact point.

    peer.py      one connection, blocking, that may misbehave
    messages.py  what it says
    case.py      a case: what is expected and why; a verdict: what was got
    framing_cases.py, message_cases.py   the cases
"""
