"""The dry run's days against what the real jobs then do, every two hours, on the test clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from invites import pauses
from invites.channels.channel import EMAIL, LETTER, SMS
from invites.forecast import DAYS, Backlog, DayPlan, Plan
from invites.options import InviteOptions
from invites.outlook import Outlook
from invites.pauses import Pause
from invites.receipt import Receipt, ReceiptState
from invites.rhythm import CallingHours, Reminder, Rhythm
from patient_records.instants import from_micros
from patient_records.model import Demographics, Standing
from tests.support.people import (
    DEAD,
    EMAIL_ONLY,
    HOSPITAL,
    ORGANISATION,
    SMS_ONLY,
    House,
    PlainChannel,
    ScriptedProvider,
    person,
)

LONDON = ZoneInfo("Europe/London")
START = datetime(2027, 3, 19, 9, 5, tzinfo=LONDON)  # a Friday; the clocks change within the days
OFFICE = CallingHours(time(18), time(8), frozenset(range(5)))
TWO = (Reminder(timedelta(days=3), LETTER), Reminder(timedelta(days=6), EMAIL))
Days = dict[str, dict[str, int]]
Make = Callable[..., House]


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    made: list[House] = []

    def start(rhythm: Rhythm, letters_at: time | None = None) -> House:
        options = InviteOptions(
            {ORGANISATION: HOSPITAL}, "https://join.example", rhythm=rhythm, zone=LONDON, letters_at=letters_at
        )
        house = House(database_url, options)
        house.set_clock(START)
        made.append(house)
        return house

    yield start
    for house in made:
        house.close()


def mixed(count: int, begin: int = 0) -> list[Demographics]:
    """People whom different channels reach, in turn."""
    kinds: list[dict[str, object]] = [
        {},
        {"addresses": ()},
        {"home": EMAIL_ONLY, "language": "cy"},
        {"home": SMS_ONLY, "addresses": (), "language": "cy"},
        {"home": ()},
    ]
    return [person(number, **kinds[number % len(kinds)]) for number in range(begin, begin + count)]


def foreseen(house: House) -> tuple[Plan, Counter[str]]:
    """What the dry run says."""
    outlook = Outlook(house.database, house.records, house.options)
    why_not: Counter[str] = Counter()
    backlog = Backlog(outlook.forecast().by_organisation[ORGANISATION], outlook.in_outbox(ORGANISATION))
    return outlook.plan(house.gate, ORGANISATION, backlog, why_not), why_not


def told(days: Sequence[DayPlan]) -> Days:
    return {each.day.isoformat(): each.by_channel for each in days}


class Daemon:
    """The jobs that issue, remind and send."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.lanes = [house.lane(ScriptedProvider(), PlainChannel(kind)) for kind in (SMS, EMAIL, LETTER)]

    def look(self) -> None:
        """Let each job look once."""
        self.house.issue.run()
        self.house.reminders.run()
        for lane in self.lanes:
            lane.run()

    def run(self, until: datetime) -> None:
        """Let the clock go on, two hours at a time."""
        at = datetime.fromtimestamp(self.house.micros() / 1_000_000, UTC)
        while at < until:
            self.house.set_clock(at)
            self.look()
            at += timedelta(hours=2)


def sent(house: House, purpose: str, *, known: Sequence[object] = ()) -> Days:
    """What really was sent from the start on, by local day; without the entries that were known before."""
    days: dict[str, Counter[str]] = {}
    for row in house.rows("outbox", purpose=purpose, state="accepted"):
        at = from_micros(int(str(row["final_at"]))).astimezone(LONDON)
        if at >= START and row["id"] not in known:
            days.setdefault(at.date().isoformat(), Counter())[str(row["channel"])] += 1
    return {day: dict(counts) for day, counts in sorted(days.items())}


def holds(house: House, daemon: Daemon | None = None) -> Plan:
    """Foresee, let the days happen, and hold the one against the other; gives what was foreseen."""
    daemon = daemon or Daemon(house)
    known = [row["id"] for row in house.rows("outbox")]
    before = counts(house)
    plan, why_not = foreseen(house)
    assert counts(house) == before
    last = datetime.combine(START.date() + timedelta(days=DAYS), time(), tzinfo=LONDON)
    daemon.run(last)
    assert told(plan.days) == sent(house, "invitation", known=known)
    assert told(plan.reminder_days) == sent(house, "reminder", known=known)
    decided = Counter(row["outcome"] for row in house.rows("reminders") if row["outcome"] not in {SMS, EMAIL, LETTER})
    assert why_not == decided
    return plan


def pause_letters(house: House) -> None:
    with house.database.begin() as connection:
        pause = Pause(ORGANISATION, LETTER, everything=False, origin="person", reason="print house", since=START)
        assert pauses.put_if_none(connection, pause)


def counts(house: House) -> list[list[dict[str, object]]]:
    """Everything that a dry run might have changed."""
    names = ("outbox", "reminders", "reminder_walks", "eligibility", "tallies", "canaries", "access_tokens")
    return [house.rows(name) for name in names]


def test_reminders_of_those_it_foresees_and_of_those_invited_before(make: Make) -> None:
    house = make(Rhythm(reminders=TWO))
    daemon = Daemon(house)
    house.arrive(mixed(10))
    house.set_clock(START - timedelta(days=2))
    daemon.look()
    house.set_clock(START)
    house.arrive(mixed(5, begin=10))
    plan = holds(house, daemon)
    assert told(plan.days) == {"2027-03-19": {"sms": 3, "email": 1, "letter": 1}}
    assert told(plan.reminder_days)["2027-03-20"] == {"letter": 6, "sms": 4}  # those of two days ago, three days later
    assert plan.reminders.total() == 2 * 15
    assert plan.reminders[SMS, "cy"] == 2 * 3


def test_caps_quiet_hours_and_weekends(make: Make) -> None:
    house = make(Rhythm(OFFICE, daily_cap=9, channel_caps={SMS: 3, EMAIL: 2}, reminders=TWO))
    daemon = Daemon(house)
    house.arrive([person(number, addresses=()) for number in range(7)])
    house.set_clock(START - timedelta(days=3))
    for _ in range(3):
        daemon.look()
        house.later(timedelta(days=1))
    house.set_clock(START)
    plan = holds(house, daemon)
    assert plan.reminders.total() > 0
    assert not plan.reminders_later


def test_a_paused_channel_holds_its_reminders_up_and_whoever_is_behind_them(make: Make) -> None:
    house = make(Rhythm(reminders=TWO))
    daemon = Daemon(house)
    house.arrive(mixed(10))
    daemon.look()
    pause_letters(house)
    plan = holds(house, daemon)
    assert LETTER not in {channel for each in plan.reminder_days for channel in each.by_channel}
    assert plan.reminders_later[LETTER] > 0


def test_who_waits_in_the_outbox_takes_a_place_and_is_reminded(make: Make) -> None:
    house = make(Rhythm(channel_caps={SMS: 6}, reminders=TWO))
    house.arrive([person(number) for number in range(9)])
    house.issue.run()
    assert len(house.rows("outbox")) == 6
    plan = holds(house)
    assert told(plan.days) == {"2027-03-20": {"sms": 3}}
    assert told(plan.reminder_days)["2027-03-22"] == {"letter": 6}


def test_letters_that_are_handed_over_daily(make: Make) -> None:
    house = make(Rhythm(OFFICE, reminders=TWO), letters_at=time(7, 30))
    house.arrive(mixed(10))
    plan = holds(house)
    assert told(plan.days) == {"2027-03-19": {"sms": 6, "email": 2}, "2027-03-20": {"letter": 2}}


def test_whose_reminder_will_not_be_written_is_told_with_the_reason(make: Make) -> None:
    house = make(Rhythm(reminders=TWO[:1]))
    daemon = Daemon(house)
    dead, gone, _ = house.arrive([person(number) for number in range(3)])
    daemon.look()
    house.change(dead, death=DEAD)
    house.change(gone, standing=Standing(registered_at=datetime(2026, 1, 1, tzinfo=UTC)))
    plan = holds(house, daemon)
    assert told(plan.reminder_days) == {"2027-03-22": {"letter": 1}}
    assert foreseen(house)[1] == {}  # they were decided about


def test_who_was_invited_by_two_channels_is_reminded_once(make: Make) -> None:
    house = make(Rhythm(reminders=TWO[:1]))
    daemon = Daemon(house)
    house.arrive([person()])
    daemon.look()
    [entry] = house.rows("outbox")
    house.arrive([person(number) for number in range(1, 121)])  # a page of the walk and more lies between the two
    daemon.look()
    failed = Receipt("scripted", ReceiptState.FAILED, START, reference=str(entry["reference"]))
    house.receipts.take([failed])
    daemon.look()
    assert [row["channel"] for row in house.rows("outbox", state="accepted")] == [SMS] * 121 + [EMAIL]
    plan = holds(house, daemon)
    assert told(plan.reminder_days) == {"2027-03-22": {"letter": 121}}


def test_what_waits_too_long_is_passed_over_and_lets_others_by(make: Make) -> None:
    house = make(Rhythm(reminders=TWO[:1]))
    daemon = Daemon(house)
    for days_ago, given in ((16, {}), (15, {"addresses": ()})):
        house.set_clock(START - timedelta(days=days_ago))
        house.arrive([person(days_ago, **given)])
        daemon.look()
    house.set_clock(START)
    pause_letters(house)
    plan = holds(house, daemon)
    assert told(plan.reminder_days) == {"2027-03-20": {"sms": 1}}
    assert plan.too_late == 1


def test_a_thousand_take_several_pages(make: Make) -> None:
    house = make(Rhythm(reminders=TWO[:1]))
    daemon = Daemon(house)
    house.arrive(mixed(605))
    daemon.look()
    assert told(foreseen(house)[0].reminder_days) == {"2027-03-22": {"letter": 363, "sms": 242}}
    house.arrive(mixed(1205, begin=605))
    plan, _ = foreseen(house)
    assert told(plan.reminder_days) == {"2027-03-22": {"letter": 3 * 362, "sms": 2 * 362}}
    assert msgspec.structs.asdict(plan)["too_late"] == 0
