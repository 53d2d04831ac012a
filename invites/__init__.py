"""From a record to a delivered invitation.

The path of one person through the files of this room:

1. A message changes a record: :mod:`~invites.consequences` writes, in the same transaction, whether the person may be
   invited (:mod:`~invites.eligibility` decides, with a reason for everyone) and stops what death, a hold or a new date
   of birth must stop.
2. The clock (:mod:`~invites.schedule`) ticks, and each job looks whether anything is due (:mod:`~invites.agenda`
   tells of the outbox) before it writes: :mod:`~invites.issue` takes the eligible, locks and assesses them again,
   and :mod:`~invites.enqueue` makes, in one transaction, the pair (:mod:`~invites.mint`, :mod:`~invites.access_token`),
   the invitation and the entry in the :mod:`~invites.outbox`. Any other message comes in by :mod:`~invites.post`: what
   it says is its :mod:`~invites.content`, how it is treated its :mod:`~invites.purpose`.
   What may be issued and sent now (:mod:`~invites.rhythm`) is asked of the :mod:`~invites.gate`: hours,
   :mod:`~invites.pauses`, the day's :mod:`~invites.tally`, the :mod:`~invites.canary`.
3. :mod:`~invites.dispatch` takes due entries of one channel all the way: claim, :mod:`~invites.prepare` (re-check and
   render), mark, a :mod:`~invites.last_look`, send (:mod:`~invites.senders`, :mod:`~invites.channels`),
   :mod:`~invites.finish`. What may become of an entry is a table in :mod:`~invites.invitation`.
   Who has not registered in time is written to again by :mod:`~invites.reminders`.
4. What did not arrive goes :mod:`~invites.onward` to the next channel; of what nobody knows whether it did,
   :mod:`~invites.settle` finds out; what a provider says afterwards (:mod:`~invites.receipt`) is taken in by
   :mod:`~invites.receipts` and may make a contact bad (:mod:`~invites.bad_contacts`); what time alone ends,
   :mod:`~invites.sweep` ends; and a new policy reaches everybody by a :mod:`~invites.policy_walk`.

Whoever asks for a pair by name, over the API or at a front desk, gets it from :mod:`~invites.on_request`, or a
:mod:`~invites.refusal`; nothing is sent then.

:mod:`~invites.overview` looks at all of it without touching it, :mod:`~invites.outlook` ahead;
:mod:`~invites.assembly` puts it together.
"""
