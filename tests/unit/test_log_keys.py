from __future__ import annotations

import re

from daemon.log_keys import ALLOW_LIST, LOG_KEYS, Literal
from patient_records.model import Masked


def test_every_key_has_its_sentence() -> None:
    assert set(LOG_KEYS) == set(ALLOW_LIST)
    assert all(re.fullmatch(r"[A-Za-z].{5,}\.", sentence) for sentence in LOG_KEYS.values())


def test_a_masked_value_is_no_value_of_any_key() -> None:
    class Patient(Masked, str):
        __slots__ = ()

    assert not any(key.accepts(Patient("Canary^Yellow Wing")) for key in ALLOW_LIST.values())
    assert not ALLOW_LIST["next"].accepts(Literal("two\nlines"))
