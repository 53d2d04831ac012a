"""What a conformance check says of a message: a rule that it breaks, and where. Never what stands there.

Both are small vocabularies of ours: rules are the constants below, places are names of the standard's own elements.
So findings may be stored in clear, counted and shown to anybody who may see the feed.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Finding(Struct, frozen=True, order=True, array_like=True):
    """One rule broken at one place.

    ``place`` is a segment (``PV1``), a field (``PID-5``), a component (``PID-5.1``, ``PID-5.1.1``) or a segment group
    (``ADT_A39_PATIENT``) of the standard; empty where the message as a whole is meant.
    """

    rule: str
    place: str = ""


MISSING_REQUIRED: Final = "missing_required"
TOO_MANY: Final = "too_many"
"""More repetitions, segments or groups than the standard allows."""
WITHDRAWN: Final = "withdrawn"
"""A field or component that this version of the standard has given up."""
WRONG_DATATYPE: Final = "wrong_datatype"
"""The parts do not fit the data type: subcomponents where it has none, for example."""
BAD_VALUE: Final = "bad_value"
"""A date, time or number that is none."""
NOT_IN_TABLE: Final = "not_in_table"
TOO_LONG: Final = "too_long"
UNKNOWN_FIELD: Final = "unknown_field"
"""A value where this version of the standard has no field."""
UNKNOWN_COMPONENT: Final = "unknown_component"
"""``place`` is the field or component that has more parts than its data type."""
UNKNOWN_SEGMENT: Final = "unknown_segment"
"""``place`` is the segment in front of it: what was taken for an id may be a piece of broken text."""
MISPLACED_SEGMENT: Final = "misplaced_segment"
"""A segment of the standard that the message's structure does not have, or not there."""
UNKNOWN_STRUCTURE: Final = "unknown_structure"
"""MSH-9 names no message structure; the segments are checked one by one."""
UNKNOWN_VERSION: Final = "unknown_version"
"""MSH-12 is empty or a version that cannot be checked; nothing else is."""
ODD_DELIMITERS: Final = "odd_delimiters"
"""MSH-2 is not what the version allows; the message is checked with the delimiters that our reader took."""
UNPARSEABLE: Final = "unparseable"
TOO_LARGE_TO_CHECK: Final = "too_large_to_check"
NOT_CHECKED: Final = "not_checked"
"""The check failed, which says nothing of the message; only who enforces conformance makes it a finding."""
TOO_SLOW_TO_CHECK: Final = "too_slow_to_check"
"""The check was ended because it took too long."""
FURTHER_FINDINGS: Final = "further_findings"
"""Findings beyond the number that is kept apart, of a message or a sender."""

MOST_BYTES: Final = 64 << 10
"""A larger message is not checked: hl7apy takes 20 s over a megabyte of ``&``, and 100 MiB over some 64 KiB."""
MOST_PARTS: Final = 6_000
"""Delimiters in a message that is checked: each part is an object of some kilobytes to hl7apy. An A28 has 200 parts."""
MOST_FINDINGS: Final = 64
"""Different findings of one message; the next one is :data:`FURTHER_FINDINGS`."""
