"""Passwords: what is refused, how they are kept, and that they never take all the memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from patient_records import passwords
from patient_records.passwords import CURRENT, Parameters, Passwords, Weakness, weakness
from tests.support.patience import SAFETY

CHEAP = Parameters(memory_kib=64, iterations=1, lanes=1)
GOOD = "correct horse battery"


@pytest.fixture
def kept() -> Passwords:
    return Passwords(b"k" * 32, CHEAP)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short-9ch", Weakness.TOO_SHORT),
        ("", Weakness.TOO_SHORT),
        ("x7" * 65, Weakness.TOO_LONG),
        ("password12", Weakness.COMMON),
        ("Password123!", Weakness.COMMON),
        ("1234567890", Weakness.COMMON),
        ("qwertyuiop", Weakness.COMMON),
        ("aaaaaaaaaaaa", Weakness.COMMON),
        (GOOD, None),
        ("k3v9-tuba-lamp", None),
        ("ŵy'n hoffi bara brith", None),
    ],
)
def test_what_everybody_tries_first_is_refused(password: str, why: Weakness | None) -> None:
    assert weakness(password) is why


def test_what_is_known_of_its_owner_is_refused() -> None:
    assert weakness("adalovelace1815") is None
    assert weakness("adalovelace1815", ["adalovelace1815"]) is Weakness.COMMON


def test_judging_takes_a_bounded_time_and_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What zxcvbn takes for its letters' other signs grows without measure: 7 s for 72 of them."""
    seen: list[int] = []

    def judged(password: str, user_inputs: list[str]) -> dict[str, int]:
        assert passwords._judging.locked()
        assert user_inputs == []
        seen.append(len(password))
        return {"score": 4}

    monkeypatch.setattr("zxcvbn.zxcvbn", judged)
    assert weakness("4@8({[<369!1|0$5+72%" * 4) is None
    assert seen == [24]
    assert not passwords._judging.locked()


def test_a_hash_knows_its_password_alone(kept: Passwords) -> None:
    encoded = kept.hash(GOOD)
    assert encoded.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert kept.verify(GOOD, encoded)
    assert not kept.verify(GOOD + " ", encoded)
    assert not kept.verify(GOOD, kept.hash("another one altogether"))
    assert kept.hash(GOOD) != encoded, "one salt for all"


@pytest.mark.parametrize(
    "encoded", ["", "!", "$argon2id$v=19$m=64,t=1,p=1$", "$2b$12$abc", "$argon2i$v=19$m=64,t=1$a$b"]
)
def test_what_is_no_hash_opens_nothing(kept: Passwords, encoded: str) -> None:
    assert not kept.verify("", encoded)
    assert not kept.verify(GOOD, encoded)


def test_a_stolen_hash_cannot_be_tried_without_the_key_file(kept: Passwords) -> None:
    encoded = kept.hash(GOOD)
    assert not Passwords(b"", CHEAP).verify(GOOD, encoded)
    assert not Passwords(b"j" * 32, CHEAP).verify(GOOD, encoded)


def test_the_same_characters_are_the_same_password_however_they_are_composed(kept: Passwords) -> None:
    assert kept.verify("cafe\u0301 cafe\u0301", kept.hash("caf\u00e9 caf\u00e9"))


def test_parameters_can_be_raised(kept: Passwords) -> None:
    old = kept.hash(GOOD)
    assert not kept.outdated(old)
    raised = Passwords(b"k" * 32, Parameters(memory_kib=128, iterations=1, lanes=1))
    assert raised.verify(GOOD, old)
    assert raised.outdated(old)
    assert raised.outdated("!")


def test_a_key_is_the_same_for_the_same_salt_and_parameters(kept: Passwords) -> None:
    salt = b"s" * 16
    key = kept.derive(GOOD, salt)
    assert len(key) == 32
    assert kept.derive(GOOD, salt) == key
    assert kept.derive(GOOD, b"t" * 16) != key
    assert kept.derive(GOOD, salt, Parameters(128, 1, 1)) != key
    assert Parameters.decode(CURRENT.encode()) == CURRENT
    with pytest.raises(ValueError, match="no Argon2id parameters"):
        Parameters.decode("m=1")


def test_what_is_used_for_real_is_the_recommendation() -> None:
    """RFC 9106, section 4, second recommended option."""
    assert Passwords(b"").parameters == Parameters(memory_kib=65536, iterations=3, lanes=4)
    assert Passwords(b"").hash(GOOD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_only_so_many_derive_at_a_time(kept: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done with a password is done while a turn is held, and there are only so many turns."""
    calls: list[str] = []
    encoded = kept.hash(GOOD)
    real = Argon2id

    class Watched:
        def __init__(self, **given: object) -> None:
            self._real = real(**given)  # type: ignore[arg-type]

        def derive(self, password: bytes) -> bytes:
            calls.append("derive")
            assert free_turns() == passwords.AT_A_TIME - 1
            return self._real.derive(password)

        def derive_phc_encoded(self, password: bytes) -> str:
            calls.append("hash")
            assert free_turns() == passwords.AT_A_TIME - 1
            return self._real.derive_phc_encoded(password)

        @staticmethod
        def verify_phc_encoded(*given: object) -> None:
            calls.append("verify")
            assert free_turns() == passwords.AT_A_TIME - 1
            real.verify_phc_encoded(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(passwords, "Argon2id", Watched)
    assert kept.verify(GOOD, encoded)
    kept.hash(GOOD)
    kept.derive(GOOD, b"s" * 16)
    kept.pretend(GOOD)
    assert calls == ["verify", "hash", "derive", "derive"]
    assert free_turns() == passwords.AT_A_TIME


AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from patient_records.passwords import Passwords
kept = Passwords(b"k" * 32)
with ThreadPoolExecutor(6) as pool:
    keys = set(pool.map(lambda _: kept.derive("correct horse battery", b"s" * 16), range(6)))
assert len(keys) == 1
"""


def test_people_who_log_in_at_once_do_not_wait_for_each_other_for_ever() -> None:
    """With the parameters that are used for real, whose threads OpenSSL counts over all derivations of a process."""
    subprocess.run([sys.executable, "-c", AT_ONCE], check=True, timeout=SAFETY)


def free_turns() -> int:
    taken = 0
    while passwords._turns.acquire(blocking=False):
        taken += 1
    for _ in range(taken):
        passwords._turns.release()
    return taken


def test_it_tells_nothing_of_itself(kept: Passwords) -> None:
    assert "k" * 32 not in repr(kept)
