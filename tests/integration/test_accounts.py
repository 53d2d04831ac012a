"""An account's life: begun with a pair, made by a mailed link alone, opened by a password, and ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from invites.access_token import AccessToken
from invites.accounts import links
from invites.accounts.challenge import Proven
from invites.accounts.emails import mailable
from invites.accounts.limits import LOGINS_BY_BOTH, MAILS_BY_EMAIL
from invites.accounts.login import LoggedIn, NoLogin
from invites.accounts.registration import Wish
from invites.tables import access_tokens
from patient_records.errors import KeyFault
from patient_records.limits import Exceeded
from patient_records.model import BirthDate, Standing
from patient_records.passwords import Parameters, Passwords
from patient_records.tables import metadata
from tests.support.accounts import ADDRESS, HERE, PASSWORD, Registry, carried, draw_one, without_organisation_keys
from tests.support.people import DEAD, House, person

NOW = datetime.now(UTC)
NEW = "nine green kettles"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def registry(house: House) -> Registry:
    return Registry(house)


def log_in(registry: Registry, email: str = ADDRESS, password: str = PASSWORD) -> LoggedIn | NoLogin | Exceeded:
    return registry.accounts.login.log_in(email, password, HERE)


def confirm(registry: Registry, secret: AccessToken) -> object:
    return registry.accounts.confirmation.confirm(secret, HERE)


def state(registry: Registry, record_id: int) -> str:
    return registry.house.state(record_id)


# ---- registering


def test_only_the_mailed_link_registers_and_until_then_the_pair_is_good(registry: Registry) -> None:
    record_id = registry.somebody()
    registry.house.issue.run()
    pair, other = registry.pair(record_id), registry.pair(record_id)
    assert registry.begin(pair) is True
    assert state(registry, record_id) == "invited"
    assert log_in(registry) is NoLogin.WRONG
    assert isinstance(registry.prove(pair), Proven)
    [mail] = registry.mails()
    assert mail.to == ADDRESS
    assert confirm(registry, carried(mail)) == "now"
    assert state(registry, record_id) == "registered"
    assert {row["end_reason"] for row in registry.house.rows("access_tokens")} == {"registered"}
    assert {row["wrapped_key"] for row in registry.house.rows("access_tokens")} == {None}
    assert registry.prove(pair) is None
    assert registry.prove(other) is None
    assert registry.audited() == ["registration_started", "registered"]


def test_the_whole_way_but_the_registering_itself_goes_without_the_organisation_key(house: House) -> None:
    poor, rich = Registry(house, without_organisation_keys(house.ring)), Registry(house)
    record_id = poor.somebody()
    assert poor.begin(poor.pair(record_id)) is True
    confirm(rich, carried(rich.mails()[-1]))
    entered = log_in(poor)
    assert isinstance(entered, LoggedIn)
    shown = poor.accounts.login.look(entered.account.id, entered.record_key)
    assert shown is not None
    assert shown.record.demographics == person()
    with pytest.raises(KeyFault), house.database.read() as connection:
        poor.records.load(connection, [record_id])


def test_a_link_pressed_twice_says_so_and_does_nothing(registry: Registry) -> None:
    registry.begin(registry.pair(registry.somebody()))
    secret = carried(registry.mails()[-1])
    assert confirm(registry, secret) == "now"
    assert confirm(registry, secret) == "before"
    assert registry.audited().count("registered") == 1


def test_a_link_works_for_a_day(registry: Registry) -> None:
    registry.begin(registry.pair(registry.somebody()))
    secret = carried(registry.mails()[-1])
    registry.house.later(timedelta(hours=24))
    assert confirm(registry, secret) == "not"


def test_a_second_wish_replaces_the_first(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    registry.begin(pair, "typo@example.net")
    registry.begin(pair)
    first, second = registry.mails()
    assert (first.to, second.to) == ("typo@example.net", ADDRESS)
    assert confirm(registry, carried(first)) == "not"
    assert confirm(registry, carried(second)) == "now"


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"death": DEAD},
        {"standing": Standing(hold="identity")},
        {"standing": Standing(merged_into=7)},
        {"birth": BirthDate("19810101")},
    ],
    ids=["died", "held", "merged", "another date of birth"],
)
def test_what_happens_between_mail_and_button_counts(registry: Registry, meanwhile: dict[str, object]) -> None:
    record_id = registry.somebody()
    registry.begin(registry.pair(record_id))
    secret = carried(registry.mails()[-1])
    registry.house.change(record_id, **meanwhile)  # type: ignore[arg-type]
    assert confirm(registry, secret) == "not"
    assert log_in(registry) is NoLogin.WRONG


def test_a_disowned_pair_makes_no_account_even_if_its_link_is_out(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    registry.begin(pair)
    secret = carried(registry.mails()[-1])
    database = registry.house.database
    with database.begin() as connection:
        registry.accounts.challenge.disown(connection, pair, HERE, database.now(connection))
    assert confirm(registry, secret) == "not"


def test_a_pair_whose_time_ran_out_meanwhile_still_makes_one(registry: Registry) -> None:
    registry.begin(registry.pair(registry.somebody()))
    secret = carried(registry.mails()[-1])
    with registry.house.database.begin() as connection:
        connection.execute(update(access_tokens).values(ended_at=1, end_reason="expired", wrapped_key=None))
    assert confirm(registry, secret) == "now"


def test_a_wish_after_the_pair_ended_is_refused(registry: Registry) -> None:
    pair = registry.pair(record_id := registry.somebody())
    proven = registry.prove(pair)
    assert isinstance(proven, Proven)
    registry.house.change(record_id, birth=BirthDate("19810101"))
    wish = Wish(proven.token_id, proven.opened.key, ADDRESS, PASSWORD, "en", HERE)
    assert registry.accounts.registration.begin(wish) is False
    assert registry.mails() == []


# ---- one address, one account


def test_an_address_in_use_is_told_so_by_mail_alone(registry: Registry) -> None:
    registry.register(registry.somebody(1))
    second = registry.somebody(2)
    assert registry.begin(registry.pair(second), ADDRESS.upper()) is True
    [mail] = registry.mails()
    assert mail.to == ADDRESS.upper()
    assert b"account already" in mail.body
    assert b"#k=" not in mail.body
    assert isinstance(log_in(registry), LoggedIn)


def test_two_pending_ones_with_one_address_only_the_first_to_confirm_has_it(registry: Registry) -> None:
    first, second = registry.somebody(1), registry.somebody(2)
    registry.begin(registry.pair(first))
    registry.begin(registry.pair(second))
    mails = registry.mails()
    assert confirm(registry, carried(mails[1])) == "now"
    assert confirm(registry, carried(mails[0])) == "not"
    assert (state(registry, first) == "registered", state(registry, second) == "registered") == (False, True)


def test_nobody_s_mailbox_is_filled(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    for _ in range(MAILS_BY_EMAIL.most + 3):
        assert registry.begin(pair) is True
    assert len(registry.mails()) == MAILS_BY_EMAIL.most


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("ada@example.net", "ada@example.net"),
        ("Ada.Lovelace+x@Example.NET", "Ada.Lovelace+x@example.net"),
        ("ada@bücher.example.org", "ada@xn--bcher-kva.example.org"),
        ("ada", None),
        ("ada@example", None),
        ("ada@@example.net", None),
        ("ada@example.net\r\nBcc: eve@example.org", None),
        ("ada b@example.net", None),
        ("x" * 65 + "@example.net", None),
        ("ada@" + "x" * 250 + ".net", None),
        ("", None),
    ],
)
def test_addresses(typed: str, written: str | None) -> None:
    assert mailable(typed) == written


# ---- logging in


def test_a_wrong_password_and_an_unknown_address_cost_one_derivation_each(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(registry.somebody())
    derived: list[tuple[int, int]] = []
    derive = Passwords.derive

    def counted(self: Passwords, password: str, salt: bytes, parameters: Parameters | None = None) -> bytes:
        derived.append((len(salt), (parameters or self.parameters).memory_kib))
        return derive(self, password, salt, parameters)

    monkeypatch.setattr(Passwords, "derive", counted)
    assert log_in(registry, password="wrong password") is NoLogin.WRONG
    assert log_in(registry, email="nobody@example.net") is NoLogin.WRONG
    assert len(derived) == 2
    assert derived[0] == derived[1]


def test_too_many_wrong_passwords_close_the_address_known_or_not(registry: Registry) -> None:
    registry.register(registry.somebody())
    for email in (ADDRESS, "nobody@example.net"):
        for _ in range(LOGINS_BY_BOTH.most):
            assert log_in(registry, email, "wrong password") is NoLogin.WRONG
        assert isinstance(log_in(registry, email), Exceeded)
    registry.house.later(timedelta(minutes=16))
    assert isinstance(log_in(registry), LoggedIn)


@pytest.mark.parametrize("change", [{"death": DEAD}, {"standing": Standing(hold="identity")}], ids=["died", "held"])
def test_a_record_that_shows_itself_to_nobody_lets_nobody_in(registry: Registry, change: dict[str, object]) -> None:
    record_id = registry.somebody()
    registry.register(record_id)
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    registry.house.change(record_id, **change)  # type: ignore[arg-type]
    assert log_in(registry) is NoLogin.CLOSED
    assert registry.accounts.login.look(entered.account.id, entered.record_key) is None


def test_a_merge_closes_the_account_frees_its_address_and_undone_opens_it_again(registry: Registry) -> None:
    prior, survivor = registry.somebody(1), registry.somebody(2)
    registry.register(prior)
    registry.house.change(prior, standing=Standing(registered_at=NOW, merged_into=survivor))
    assert log_in(registry) is NoLogin.CLOSED
    registry.house.change(prior, standing=Standing(registered_at=NOW))
    assert isinstance(log_in(registry), LoggedIn)
    registry.house.change(prior, standing=Standing(registered_at=NOW, merged_into=survivor))
    registry.register(survivor)  # with the same address
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    assert entered.account.record_id == survivor


def test_failing_on_purpose_closes_an_account_only_from_where_it_was_done(registry: Registry) -> None:
    registry.register(registry.somebody())
    for _ in range(LOGINS_BY_BOTH.most):
        assert registry.accounts.login.log_in(ADDRESS, "wrong password", "198.51.100.9") is NoLogin.WRONG
    assert isinstance(registry.accounts.login.log_in(ADDRESS, PASSWORD, "198.51.100.9"), Exceeded)
    assert isinstance(log_in(registry), LoggedIn)


@pytest.mark.parametrize("same", ["link", "address"])
def test_two_at_once_make_one_account(registry: Registry, same: str) -> None:
    registry.begin(registry.pair(registry.somebody(1)))
    if same == "address":
        registry.begin(registry.pair(registry.somebody(2)))
    secrets = [carried(mail) for mail in registry.mails()]
    with ThreadPoolExecutor(4) as pool:
        said = [str(each) for each in pool.map(lambda secret: confirm(registry, secret), (secrets * 2)[:4])]
    assert said.count("now") == 1
    assert set(said) <= {"now", "before", "not"}
    assert len([row for row in registry.house.rows("accounts") if row["state"] == "active"]) == 1


def test_raised_parameters_take_hold_at_the_next_login(house: House) -> None:
    old = Registry(house)
    old.register(old.somebody())
    new = Registry(house, parameters=Parameters(memory_kib=128, iterations=1, lanes=1))
    assert isinstance(log_in(new), LoggedIn)
    entered = log_in(new)
    assert isinstance(entered, LoggedIn)
    assert entered.account.parameters == "m=128,t=1,p=1"


# ---- what is stored


def test_the_database_has_neither_address_nor_password_nor_key_nor_link(registry: Registry) -> None:
    registry.register(registry.somebody())
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    registry.accounts.password_reset.ask(ADDRESS, "en")
    with registry.house.database.read() as connection:
        stored = repr([connection.execute(table.select()).all() for table in metadata.sorted_tables])
    secret = carried(registry.mails()[-1])
    for text in (ADDRESS, PASSWORD, secret.code + secret.token):
        assert text not in stored
    assert repr(entered.record_key.raw) not in stored


def test_a_typed_link_is_read_however_it_is_grouped() -> None:
    drawn = draw_one()
    text = drawn.code + drawn.token
    grouped = f" {text[:5]} {text[5:10]}-{text[10:15].lower()} {text[15:]} "
    assert links.read(grouped) == drawn
    assert links.read(grouped[:-3]) is None
    assert links.read("") is None


def test_wrong_dates_are_noted_for_the_automatic_pause_a_little_later(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    registry.prove(pair)
    registry.prove(pair, date(1990, 1, 1))
    registry.prove(draw_one())
    assert registry.house.rows("tallies") == []
    assert registry.accounts.noted.run() == 2
    [tally] = registry.house.rows("tallies")
    assert (tally["organisation"], tally["channel"], tally["good"], tally["bad"]) == ("RX1", "challenge", 1, 1)
    assert registry.accounts.noted.run() == 0
