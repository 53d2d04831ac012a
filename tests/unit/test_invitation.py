from __future__ import annotations

import textwrap

import pytest

from invites import invitation
from invites.errors import IllegalTransition
from invites.invitation import CANCELLABLE, FINAL, TRANSITIONS, EntryEvent, EntryState, after, drawing, next_channel


def test_the_drawing_in_the_docstring_is_that_of_the_table() -> None:
    assert invitation.__doc__ is not None
    assert textwrap.indent(drawing(), "    ") in invitation.__doc__


def test_every_state_is_reached_and_every_path_can_end() -> None:
    assert set(TRANSITIONS.values()) | {EntryState.QUEUED} == set(EntryState)
    ends = set(FINAL)
    for _ in EntryState:
        ends |= {state for (state, _), becomes in TRANSITIONS.items() if becomes in ends}
    assert ends == set(EntryState)


def test_what_may_have_been_sent_is_never_cancelled_nor_released() -> None:
    assert {EntryState.QUEUED, EntryState.CLAIMED} == CANCELLABLE
    for state in (EntryState.SENDING, EntryState.UNKNOWN):
        for event in (EntryEvent.RELEASE, EntryEvent.CANCEL, EntryEvent.EXPIRE, EntryEvent.CLAIM):
            with pytest.raises(IllegalTransition):
                after(state, event)


def test_unknown_is_queued_again_only_when_it_is_certain_that_nothing_was_sent() -> None:
    ways = {event for (state, event), becomes in TRANSITIONS.items() if state is EntryState.UNKNOWN}
    back = {
        event
        for (state, event), becomes in TRANSITIONS.items()
        if state is EntryState.UNKNOWN and becomes is EntryState.QUEUED
    }
    assert back == {EntryEvent.NOT_SENT}
    assert ways == {
        EntryEvent.RESEND, EntryEvent.ACCEPT, EntryEvent.NOT_SENT, EntryEvent.REFUSE, EntryEvent.GIVE_UP,
    }  # fmt: skip


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_leaves_a_final_state(state: EntryState) -> None:
    for event in EntryEvent:
        with pytest.raises(IllegalTransition):
            after(state, event)


def test_the_next_channel_is_the_first_that_was_not_tried() -> None:
    assert next_channel(("sms", "email", "letter"), {"sms"}) == "email"
    assert next_channel(("sms", "letter"), {"sms"}) == "letter"
    assert next_channel(("letter",), {"letter", "sms"}) is None
    assert next_channel((), ()) is None
