"""Whole feeds, through the batch and a database: repeated, late, merged in any order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patient_records.model import Demographics
from tests.support.hospital import Hospital

PEOPLE = "ABCD"
FIELDS = ("names", "birth", "sex", "addresses", "home", "work", "language", "publicity", "protection", "vip", "death")
FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_NAMESPACES = itertools.count()
"""Each feed has people of its own, so that all of them may share one database."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    made = Hospital(f"sqlite:///{tmp_path_factory.mktemp('feeds') / 'feeds.db'}")
    yield made
    made.close()


class Feed:
    """The messages of one sender, about people of its own."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.space = next(_NAMESPACES)

    def number(self, person: str) -> str:
        """A local number."""
        return f"{person}{self.space}"

    def message(self, at: int, event: str, person: str, other: str = "", field: str = "") -> bytes:
        """Build the message of minute ``at``; ``field`` is what changes."""
        stamp = f"202601{1 + at // 1440:02}{at // 60 % 24:02}{at % 60:02}00+0000"
        lines = [
            f"MSH|^~\\&|PAS|RX1|d|RX1|{stamp}||ADT^{event}|{self.space}-{at}|P|2.5",
            f"EVN|{event}|{stamp}",
            self._pid(person, field),
        ]
        if other and event in {"A24", "A37"}:
            lines.append(self._pid(other, ""))
        elif other:
            lines.append(f"MRG|{self.number(other)}^^^RX1^MR")
        return ("\r".join(lines) + "\r").encode()

    def _pid(self, person: str, field: str) -> str:
        phone = f"0770090012{field}" if field.isdigit() else field
        return f"PID|1||{self.number(person)}^^^RX1^MR||Person{field}^{person}||1970010{field or 1}|F|||||{phone}"

    def send(self, messages: Sequence[bytes], sizes: Sequence[int]) -> None:
        """Send in transactions of these sizes, over and over."""
        rest, pattern = list(messages), itertools.cycle(sizes)
        while rest:
            size = next(pattern)
            settled = self.hospital.send(*rest[:size])
            assert {done.code for done in settled} == {"AA"}
            rest = rest[size:]

    def ends(self) -> dict[str, object]:
        """What each number finds in the end: who goes on, what is known of them, and what they are."""
        found = {person: self.hospital.find(self.number(person)) for person in PEOPLE}
        groups: dict[int, str] = {}
        ends: dict[str, object] = {}
        for person, record in found.items():
            if record is None:
                ends[person] = None
                continue
            group = groups.setdefault(record.id, person)
            standing = (record.standing.deleted_at is not None, record.standing.merged_into is not None)
            ends[person] = (group, standing, self._known(record.demographics))
        return ends

    def _known(self, person: Demographics) -> tuple[object, ...]:
        names = {i.value.removesuffix(str(self.space)) for i in person.identifiers + person.aliases}
        return (*(getattr(person, field) for field in FIELDS), frozenset(names))


people = st.sampled_from(PEOPLE)
digits = st.sampled_from("123456789")
steps = st.one_of(
    st.tuples(st.sampled_from(["A28", "A31", "A08", "A02"]), people, st.just(""), digits),
    st.tuples(st.sampled_from(["A40", "A34", "A47", "A24", "A37"]), people, people, digits),
    st.tuples(st.just("A29"), people, st.just(""), digits),
)
sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@FEW
@given(st.lists(steps, min_size=1, max_size=14), st.data(), sizes, sizes)
def test_a_feed_with_every_message_repeated_later_ends_in_the_same_records(
    hospital: Hospital, story: list[tuple[str, str, str, str]], data: st.DataObject, first: list[int], second: list[int]
) -> None:
    plain, repeated = Feed(hospital), Feed(hospital)
    plain.send([plain.message(at, *step) for at, step in enumerate(story)], first)
    again = [repeated.message(at, *step) for at, step in enumerate(story)]
    stream: list[bytes] = []
    waiting: list[bytes] = []
    for message in again:
        stream.append(message)
        waiting.append(message)
        chosen = data.draw(st.lists(st.integers(0, len(story)), max_size=len(waiting)))
        stream += [waiting.pop(one % len(waiting)) for one in chosen]
    repeated.send(stream + waiting, second)
    assert repeated.ends() == plain.ends()


@FEW
@given(st.lists(digits, min_size=1, max_size=5), st.sampled_from(["A28", "A31", "A01", "A08", "A02", "A40"]), digits)
def test_an_older_message_that_arrives_late_leaves_demographics_as_they_were(
    hospital: Hospital, fields: list[str], event: str, late: str
) -> None:
    feed = Feed(hospital)
    feed.send([feed.message(10 + at, "A28", "A", field=field) for at, field in enumerate(fields)], [3])
    before = hospital.find(feed.number("A"))
    feed.send([feed.message(1, event, "A", other="B" if event == "A40" else "", field=late)], [1])
    after = hospital.find(feed.number("A"))
    assert before is not None
    assert after is not None
    for name in FIELDS:
        assert getattr(after.demographics, name) == getattr(before.demographics, name)


@st.composite
def forests(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges in which each is the prior one at most once, and none leads back to itself: (survivor, prior)."""
    order = draw(st.permutations(PEOPLE))
    priors = draw(st.lists(st.integers(1, len(PEOPLE) - 1), unique=True, max_size=3))
    return [(order[draw(st.integers(0, at - 1))], order[at]) for at in priors]


@FEW
@given(forests(), st.data(), sizes)
def test_merges_in_any_order_lead_to_the_same_people(
    hospital: Hospital, merges: list[tuple[str, str]], data: st.DataObject, batches: list[int]
) -> None:
    parent = {prior: survivor for survivor, prior in merges}
    feed = Feed(hospital)
    known = data.draw(st.sets(people))
    messages = [feed.message(50 + at, "A40", *merge) for at, merge in enumerate(merges)]
    feed.send([feed.message(at, "A28", person) for at, person in enumerate(sorted(known))], batches)
    feed.send(data.draw(st.permutations(messages)), batches)

    def root(person: str) -> str:
        return root(parent[person]) if person in parent else person

    touched = known | {person for merge in merges for person in merge}
    found = {person: hospital.find(feed.number(person)) for person in touched}
    for one, other in itertools.combinations(sorted(touched), 2):
        assert (found[one] == found[other]) == (root(one) == root(other)), (one, other)
    assert all(record is not None and record.standing.merged_into is None for record in found.values())


@FEW
@given(st.lists(st.booleans(), min_size=1, max_size=5), st.data(), sizes)
def test_of_merges_either_way_the_newest_word_counts_in_any_order(
    hospital: Hospital, words: list[bool], data: st.DataObject, batches: list[int]
) -> None:
    feed = Feed(hospital)
    feed.send([feed.message(0, "A28", "A", field="1"), feed.message(1, "A28", "B", field="2")], [2])
    messages = [feed.message(10 + at, "A40", *("AB" if word else "BA")) for at, word in enumerate(words)]
    feed.send(data.draw(st.permutations(messages)), batches)
    one, other = hospital.find(feed.number("A")), hospital.find(feed.number("B"))
    assert one is not None
    assert one == other
    assert feed.number("A" if words[-1] else "B") in {i.value for i in one.demographics.identifiers}
