"""Staff accounts and their sessions: made, opened, locked, ended; every refusal is the same one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

import web.ops.tables  # noqa: F401 (puts its tables on the metadata before the database is made)
from patient_records.audit import Actor, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.passwords import Parameters, Passwords, Weakness
from patient_records.unit_of_work import Database
from tests.contract.conftest import Stores
from tests.support.people import ShiftedDatabase
from web.access import clients
from web.access.clients import Clients, Scope
from web.ops import accounts, sessions
from web.ops.accounts import LOCKED_FOR, MOST_FAILURES, ONE_TIME_FOR, AccountExists, StaffAccount, StaffAccounts
from web.ops.tables import staff_accounts, staff_sessions

ROOT = Actor(ActorKind.OPERATOR, "root")
GOOD = "three blue teapots"


class Desk:
    """Accounts in a database whose clock can be put forward."""

    def __init__(self, stores: Stores) -> None:
        self.database = ShiftedDatabase(stores.url)
        self.trail = AuditTrail(stores.ring, stores.ids)
        self.passwords = Passwords(b"s" * 32, Parameters(64, 1, 1))
        self.accounts = StaffAccounts(self.database, self.passwords, self.trail, stores.ids, os.urandom)

    def ready(self, login: str = "anna") -> StaffAccount:
        """An account that has set its password."""
        made = self.accounts.add(login, "RX1", ROOT)
        account = self.accounts.set_password(made.account, GOOD)
        assert isinstance(account, StaffAccount)
        return account

    def actions(self) -> list[str]:
        with self.database.read() as connection:
            return [entry.action for entry in self.trail.entries(connection, limit=100)]

    def begin(self, account: StaffAccount) -> str:
        text = self.try_to_begin(account)
        assert text is not None
        return text

    def try_to_begin(self, account: StaffAccount) -> str | None:
        with self.database.begin() as connection:
            return sessions.begin(connection, account, self.database.now(connection))

    def holder(self, text: str) -> StaffAccount | None:
        with self.database.read() as connection:
            found = sessions.holder(connection, text, self.database.now(connection))
        return found.account if found is not None else None

    def later(self, by: timedelta) -> None:
        self.database.shift += by


@pytest.fixture
def desk(stores: Stores) -> Iterator[Desk]:
    made = Desk(stores)
    yield made
    made.database.close()


def test_the_first_login_is_by_a_one_time_password(desk: Desk) -> None:
    made = desk.accounts.add(" Anna.Smith ", "RX1", ROOT)
    assert made.account.login == "anna.smith"
    assert made.account.must_set_password
    assert len(made.password.replace("-", "")) == 15
    account = desk.accounts.log_in("ANNA.SMITH", made.password)
    assert account is not None
    assert account.must_set_password
    chosen = desk.accounts.set_password(account, GOOD)
    assert isinstance(chosen, StaffAccount)
    assert not chosen.must_set_password
    assert desk.accounts.log_in("anna.smith", made.password) is None
    assert desk.accounts.log_in("anna.smith", GOOD) is not None
    assert desk.actions() == [
        "staff_logged_in",
        "staff_login_failed",
        "staff_password_set",
        "staff_logged_in",
        "staff_added",
    ]


def test_a_one_time_password_does_not_wait_for_ever(desk: Desk) -> None:
    made = desk.accounts.add("anna", "RX1", ROOT)
    desk.later(ONE_TIME_FOR)
    assert desk.accounts.log_in("anna", made.password) is None


@pytest.mark.parametrize("login", ["", "ab", "-anna", "anna smith", "anna@", "a" * 65, "änna"])
def test_a_login_is_letters_and_digits(desk: Desk, login: str) -> None:
    with pytest.raises(ValueError, match="a login has 3 to 64"):
        desk.accounts.add(login, "RX1", ROOT)
    assert desk.accounts.log_in(login, GOOD) is None


def test_a_login_is_nobody_elses(desk: Desk) -> None:
    desk.ready()
    with pytest.raises(AccountExists):
        desk.accounts.add("ANNA", "RX2", ROOT)


@pytest.mark.parametrize(
    ("password", "why"),
    [("short", Weakness.TOO_SHORT), ("password123", Weakness.COMMON), ("anna-anna-1", Weakness.COMMON)],
)
def test_a_weak_password_is_not_taken(desk: Desk, password: str, why: Weakness) -> None:
    made = desk.accounts.add("anna", "RX1", ROOT)
    assert desk.accounts.set_password(made.account, password) is why
    assert desk.accounts.log_in("anna", made.password) is not None


def test_nothing_that_opens_lies_in_the_database(desk: Desk) -> None:
    made = desk.accounts.add("anna", "RX1", ROOT)
    text = desk.begin(made.account)
    with desk.database.read() as connection:
        rows = [*connection.execute(select(staff_accounts)), *connection.execute(select(staff_sessions))]
    assert made.password not in str(rows)
    assert made.password.replace("-", "") not in str(rows)
    assert text not in str(rows)
    assert made.password not in repr(made)


def test_five_wrong_passwords_lock_the_account_for_a_while(desk: Desk) -> None:
    desk.ready()
    for _ in range(MOST_FAILURES):
        assert desk.accounts.log_in("anna", "wrong and wrong") is None
    assert desk.actions()[:2] == ["staff_login_failed", "staff_locked"]
    assert desk.accounts.log_in("anna", GOOD) is None, "locked"
    desk.later(LOCKED_FOR)
    assert desk.accounts.log_in("anna", GOOD) is not None


def test_the_right_password_forgets_the_wrong_ones(desk: Desk) -> None:
    desk.ready()
    for _ in range(3):
        for _ in range(MOST_FAILURES - 1):
            assert desk.accounts.log_in("anna", "wrong and wrong") is None
        assert desk.accounts.log_in("anna", GOOD) is not None


def test_the_last_try_may_be_the_right_one(desk: Desk) -> None:
    desk.ready()
    for _ in range(MOST_FAILURES - 1):
        desk.accounts.log_in("anna", "wrong and wrong")
    assert desk.accounts.log_in("anna", GOOD) is not None
    assert desk.accounts.log_in("anna", GOOD) is not None


def test_many_tries_at_once_are_not_many_guesses(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try is counted before its password is looked at."""
    desk.ready()
    looked: list[str] = []
    real = Passwords.verify

    def watched(self: Passwords, password: str, encoded: str) -> bool:
        looked.append(password)
        return real(self, password, encoded)

    monkeypatch.setattr(Passwords, "verify", watched)
    threads = [threading.Thread(target=desk.accounts.log_in, args=("anna", f"guess number {n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == MOST_FAILURES


def test_every_refusal_takes_one_derivation(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ready("anna")
    desk.ready("locked")
    desk.ready("disabled")
    for _ in range(MOST_FAILURES):
        desk.accounts.log_in("locked", "wrong and wrong")
    with desk.database.begin() as connection:
        desk.accounts.disable(connection, "disabled", ROOT, desk.database.now(connection))
    work: list[str] = []
    for name in ("hash", "verify", "derive"):
        real = getattr(Passwords, name)

        def counted(self: Passwords, *given: object, real: object = real, name: str = name) -> object:
            work.append(name)
            return real(self, *given)  # type: ignore[operator]

        monkeypatch.setattr(Passwords, name, counted)
    for login in ("anna", "locked", "disabled", "nobody", "no login at all"):
        work.clear()
        assert desk.accounts.log_in(login, "wrong and wrong") is None
        assert len(work) == 1, login


def test_a_disabled_account_takes_its_personal_clients_along(desk: Desk, stores: Stores) -> None:
    account = desk.ready()
    with desk.database.begin() as connection:
        now = desk.database.now(connection)
        made = Clients(stores.ids, os.urandom).add(
            connection, "Mine", "RX1", Scope.COORDINATOR, now, staff_id=account.id
        )
        assert clients.authenticate(connection, made.client.client_id, made.secret) is not None
        desk.accounts.disable(connection, "anna", ROOT, now)
        assert clients.authenticate(connection, made.client.client_id, made.secret) is None


def test_what_was_under_way_ends_with_a_reset_or_the_account(desk: Desk) -> None:
    """Between a page's look at the account and its write lies a derivation: time for an operator to come in."""
    desk.ready()
    before = desk.accounts.log_in("anna", GOOD)
    assert before is not None
    made = desk.accounts.reset("anna", ROOT)
    assert desk.try_to_begin(before) is None
    assert desk.accounts.set_password(before, "four green kettles") is None
    assert desk.accounts.log_in("anna", made.password) is not None
    with desk.database.begin() as connection:
        desk.accounts.disable(connection, "anna", ROOT, desk.database.now(connection))
    assert desk.try_to_begin(made.account) is None
    assert desk.accounts.set_password(made.account, "four green kettles") is None


def test_an_operator_lifts_a_lockout(desk: Desk) -> None:
    desk.ready()
    for _ in range(MOST_FAILURES):
        desk.accounts.log_in("anna", "wrong and wrong")
    with desk.database.begin() as connection:
        desk.accounts.unlock(connection, "Anna", ROOT, desk.database.now(connection))
    assert desk.accounts.log_in("anna", GOOD) is not None
    assert Action.LOCKOUT_LIFTED in desk.actions()


def test_a_disabled_account_opens_to_nobody(desk: Desk) -> None:
    account = desk.ready()
    text = desk.begin(account)
    assert desk.holder(text) == account
    with desk.database.begin() as connection:
        desk.accounts.disable(connection, "anna", ROOT, desk.database.now(connection))
    assert desk.holder(text) is None
    assert desk.accounts.log_in("anna", GOOD) is None
    made = desk.accounts.reset("anna", ROOT)
    assert desk.holder(text) is None
    assert desk.accounts.log_in("anna", GOOD) is None
    assert desk.accounts.log_in("anna", made.password) is not None


@pytest.mark.parametrize("what", ["reset", "new password"])
def test_new_credentials_end_old_sessions(desk: Desk, what: str) -> None:
    account = desk.ready()
    text = desk.begin(account)
    if what == "reset":
        desk.accounts.reset("anna", ROOT)
    else:
        desk.accounts.set_password(account, "another four kettles")
    assert desk.holder(text) is None


def test_a_session_rests_for_half_an_hour_and_lasts_ten(desk: Desk) -> None:
    account = desk.ready()
    text = desk.begin(account)
    desk.later(sessions.IDLE - timedelta(seconds=1))
    assert desk.holder(text) is not None
    with desk.database.begin() as connection:
        sessions.note(connection, text, desk.database.now(connection))
    desk.later(sessions.IDLE - timedelta(seconds=1))
    assert desk.holder(text) is not None
    desk.later(timedelta(seconds=2))
    assert desk.holder(text) is None

    text = desk.begin(account)
    for _ in range(60):
        desk.later(timedelta(minutes=10))
        with desk.database.begin() as connection:
            sessions.note(connection, text, desk.database.now(connection))
    assert desk.holder(text) is None


def test_a_session_ends_at_logout_and_is_nobody_elses(desk: Desk) -> None:
    account = desk.ready()
    text, other = desk.begin(account), desk.begin(account)
    assert desk.holder(text[:-1] + "x") is None
    assert desk.holder("\udcff") is None
    with desk.database.begin() as connection:
        sessions.end(connection, text)
    assert desk.holder(text) is None
    assert desk.holder(other) is not None
    desk.later(timedelta(hours=11))
    with desk.database.begin() as connection:
        assert sessions.sweep(connection, desk.database.now(connection)) == 1


def test_hashes_are_renewed_when_parameters_are_raised(desk: Desk, stores: Stores) -> None:
    desk.ready()
    raised = Passwords(b"s" * 32, Parameters(128, 1, 1))
    dearer = StaffAccounts(desk.database, raised, desk.trail, stores.ids, os.urandom)
    assert dearer.log_in("anna", GOOD) is not None
    with desk.database.read() as connection:
        assert "m=128" in str(connection.scalar(select(staff_accounts.c.password_hash)))
    assert dearer.log_in("anna", GOOD) is not None


def test_accounts_are_listed_by_organisation(desk: Desk, stores: Stores) -> None:
    desk.ready("berta")
    desk.ready("anna")
    desk.accounts.add("carl", "RX2", ROOT)
    database: Database = desk.database
    with database.read() as connection:
        assert [account.login for account in accounts.every(connection)] == ["anna", "berta", "carl"]
        assert [account.login for account in accounts.every(connection, "RX2")] == ["carl"]
    with pytest.raises(LookupError):
        desk.accounts.reset("nobody", ROOT)
    assert stores.url
