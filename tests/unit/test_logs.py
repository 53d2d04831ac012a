"""Logs, proved by a canary: a patient's name in every odd place, and never in a line."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import pytest
import structlog

from daemon import logs
from daemon.log_keys import ALLOW_LIST

CANARY = "Canary^Yellow Wing"
WORD = "Canary"

MULTILINE_CONSTANT = "the first line\nand the second"


class DriverError(Exception):
    """What a database driver raises: parameters everywhere."""

    code = CANARY
    statement = CANARY

    def __str__(self) -> str:
        return f"INSERT INTO people VALUES ({CANARY!r})"

    __repr__ = __str__


class Loud(StrEnum):
    """Text that says something else when printed."""

    __slots__ = ()
    APPLIED = "applied"

    def __str__(self) -> str:
        return CANARY


class Lines:
    """A stream, and the events that arrived in it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        (event,) = self.events
        assert WORD not in self.text
        return event


@pytest.fixture
def before() -> Iterator[None]:
    """Give everything that ``configure`` takes over back to where it was."""
    root = logging.getLogger()
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook)
    state = (root.handlers, root.level, logging.raiseExceptions, warnings.showwarning)
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    root.handlers, level, logging.raiseExceptions, warnings.showwarning = state
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def lines(before: None) -> Lines:  # noqa: ARG001 (it runs around this one)
    found = Lines()
    logs.configure(found.stream, json=True, level=logging.DEBUG)
    return found


def fail() -> None:
    """Raise an exception with a cause and a context that all carry the canary."""
    try:
        try:
            int(CANARY)
        except ValueError as error:
            raise KeyError(CANARY) from error
    except KeyError as error:
        error.add_note(CANARY)
        raise DriverError(CANARY) from error


def raised() -> DriverError:
    """What ``fail`` raises, with its traceback."""
    with pytest.raises(DriverError) as caught:
        fail()
    return caught.value


log: Any = structlog.get_logger()


class TestOurEvents:
    def test_a_line_says_what_is_on_the_list(self, lines: Lines) -> None:
        log.info(
            "message_applied", message_id=7, control_id="MSG.1:a-b", listener="pas", duration_ms=1.5, trigger="A28"
        )
        event = lines.only
        assert list(event)[:3] == ["timestamp", "level", "event"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", event.pop("timestamp"))
        assert event == {
            "level": "info",
            "event": "message_applied",
            "message_id": 7,
            "control_id": "MSG.1:a-b",
            "listener": "pas",
            "duration_ms": 1.5,
            "trigger": "A28",
        }

    def test_a_key_that_is_not_on_the_list_is_dropped_and_counted(self, lines: Lines) -> None:
        log.info("message_applied", name=CANARY, family="x", count=2)
        assert lines.only.items() >= {"count": 2, "withheld": 2}.items()
        assert "family" not in lines.only

    @pytest.mark.parametrize("key", sorted(set(ALLOW_LIST) - {"timestamp", "level", "event"}))
    @pytest.mark.parametrize(
        "value",
        [
            CANARY,
            WORD + " ",
            WORD + "\n",
            WORD + "é",
            [WORD],
            {WORD: WORD},
            WORD.encode(),
            DriverError(CANARY),
            ("a", WORD),
            float,
            True,
            "x" * 10_000,
        ],
        ids=lambda value: repr(value)[:24],
    )
    def test_a_value_that_does_not_look_as_its_keys_must_is_dropped(
        self, lines: Lines, key: str, value: object
    ) -> None:
        log.info("message_applied", **{key: value})
        assert key == "withheld" or key not in lines.only
        assert lines.only["withheld"] == 1

    @pytest.mark.parametrize("event", [CANARY, f"applied {WORD}", DriverError(CANARY), "", "A", 3, "x" * 65])
    def test_an_events_name_is_a_code(self, lines: Lines, event: Any) -> None:
        log.warning(event)
        assert lines.only["event"] == "event_withheld"

    def test_nothing_comes_in_by_the_context(self, lines: Lines) -> None:
        structlog.contextvars.bind_contextvars(message_id=5, patient=CANARY)
        log.bind(name=CANARY).info("message_applied", positional=CANARY)
        assert lines.only["message_id"] == 5
        assert lines.only["withheld"] == 3

    def test_positional_arguments_do_not_come_out(self, lines: Lines) -> None:
        log.info("message_applied %s", CANARY)
        assert lines.only["event"] == "event_withheld"

    def test_what_to_do_next_must_stand_in_the_code(self, lines: Lines) -> None:
        log.info("database_behind", next="Run doorstep migrate, then start again.")
        log.info("database_behind", next=f"Ask {WORD} about it.")
        log.info("database_behind", next=MULTILINE_CONSTANT)
        first, second, third = lines.events
        assert first["next"] == "Run doorstep migrate, then start again."
        assert "next" not in second
        assert "next" not in third
        assert WORD not in lines.text

    def test_a_text_that_prints_as_something_else_is_taken_by_its_value(self, lines: Lines) -> None:
        log.info("message_applied", outcome=Loud.APPLIED)
        assert lines.only["outcome"] == "applied"

    def test_a_number_beyond_what_json_holds_is_dropped(self, lines: Lines) -> None:
        log.info("message_applied", count=1 << 70, bytes=(1 << 53) - 1)
        assert lines.only["withheld"] == 1

    @pytest.mark.usefixtures("before")
    def test_below_the_level_nothing_is_written(self) -> None:
        found = Lines()
        logs.configure(found.stream, json=True, level=logging.WARNING)
        log.info("message_applied")
        assert not found.text

    @pytest.mark.usefixtures("before")
    def test_for_eyes_the_same_rules_hold(self) -> None:
        found = Lines()
        logs.configure(found.stream, json=False)
        log.error("message_rejected", count=3, name=CANARY, exc_info=raised())
        assert WORD not in found.text
        assert "message_rejected" in found.text
        assert "count=3" in found.text

    @pytest.mark.usefixtures("before")
    def test_a_broken_pipe_stops_nobody(self) -> None:
        class Broken(io.StringIO):
            def write(self, _text: str) -> int:
                raise BrokenPipeError(CANARY)

        logs.configure(Broken(), json=True)
        log.info("message_applied")


class TestExceptions:
    def test_types_places_and_nothing_else(self, lines: Lines) -> None:
        log.error("write_failed", exc_info=raised())
        event = lines.only
        assert event["error"] == "DriverError < KeyError < ValueError"
        assert re.fullmatch(rf"{re.escape(__name__)}:\d+ > {re.escape(__name__)}:\d+", event["where"])
        assert "error_code" not in event  # this class is not one of ours
        assert "withheld" not in event

    def test_the_one_in_hand(self, lines: Lines) -> None:
        try:
            int(CANARY)
        except ValueError:
            log.exception("write_failed")
        assert lines.only["error"] == "ValueError"

    def test_one_of_ours_has_its_code(self, lines: Lines) -> None:
        class HeldBack(Exception):
            code = "held.ambiguous"

        HeldBack.__module__ = "patient_records.errors"
        log.error("write_failed", exc_info=HeldBack(CANARY))
        assert lines.only["error_code"] == "held.ambiguous"
        assert "where" not in lines.only  # it was never raised

    def test_a_group_names_its_first_member(self, lines: Lines) -> None:
        log.error("write_failed", exc_info=ExceptionGroup(CANARY, [raised(), ValueError(CANARY)]))
        assert lines.only["error"] == "ExceptionGroup < DriverError < KeyError < ValueError"

    def test_a_ring_of_causes_ends(self, lines: Lines) -> None:
        one, two = KeyError(CANARY), ValueError(CANARY)
        one.__cause__, two.__cause__ = two, one
        log.error("write_failed", exc_info=one)
        assert lines.only["error"].count("<") == logs.LONGEST_CHAIN - 1

    def test_a_deep_recursion_is_cut_to_its_innermost_frames(self, lines: Lines) -> None:
        def sink(depth: int) -> None:
            if not depth:
                raise ValueError(CANARY)
            sink(depth - 1)

        try:
            sink(100)
        except ValueError:
            log.exception("write_failed")
        assert lines.only["where"].count(" > ") == logs.DEEPEST - 1

    def test_a_class_with_an_odd_name_does_not_come_out(self, lines: Lines) -> None:
        odd = type(CANARY, (Exception,), {})
        log.error("write_failed", exc_info=odd())
        assert lines.only["withheld"] == 1


class TestUncaught:
    def test_in_the_process(self, lines: Lines) -> None:
        error = raised()
        sys.excepthook(type(error), error, error.__traceback__)
        assert lines.only.items() >= {"level": "critical", "event": "uncaught_exception"}.items()

    def test_in_a_thread(self, lines: Lines) -> None:
        def work() -> None:
            raise raised()

        thread = threading.Thread(target=work, name=CANARY)
        thread.start()
        thread.join()
        assert lines.only["event"] == "uncaught_exception_in_thread"

    def test_in_a_destructor(self, lines: Lines) -> None:
        class Leaving:
            def __repr__(self) -> str:
                return CANARY

            def __del__(self) -> None:
                raise raised()

        Leaving()
        gc.collect()
        assert lines.only["event"] == "unraisable_exception"

    @pytest.mark.parametrize("watched", [True, False], ids=["watched", "asyncio's own report"])
    def test_in_a_task(self, lines: Lines, *, watched: bool) -> None:
        async def work(patient: str) -> None:
            raise DriverError(patient)

        async def main() -> None:
            if watched:
                logs.watch(asyncio.get_running_loop())
            task = asyncio.create_task(work(CANARY), name=CANARY)
            await asyncio.wait([task])
            del task
            gc.collect()

        asyncio.run(main())
        assert lines.only["error"] == "DriverError"
        assert lines.only["event"] == ("unhandled_in_event_loop" if watched else "library_message")

    def test_in_a_callback(self, lines: Lines) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            logs.watch(loop)
            loop.call_soon(int, CANARY)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        asyncio.run(main())
        assert lines.only["error"] == "ValueError"


class TestLibraries:
    library = logging.getLogger("some.library")

    def test_the_text_before_its_values_comes_out_and_no_value(self, lines: Lines) -> None:
        self.library.warning("Could not write %s to %r", CANARY, {"who": CANARY}, extra={"name_of": CANARY})
        event = lines.only
        assert event["template"] == "Could not write %s to %r"
        assert event["logger"] == "some.library"
        assert event["level"] == "warning"
        assert event["where"].startswith("test_logs:")

    @pytest.mark.parametrize(
        "say",
        [
            lambda library: library.error(f"Could not write {CANARY}"),
            lambda library: library.error(f"Could not write {CANARY} %s", 3),
            lambda library: library.error(raised()),
            lambda library: library.error({"who": CANARY}),
            lambda library: library.error("%(who)s", {"who": CANARY}),
            lambda library: library.error("wrong number of values %s %s", CANARY),
            lambda library: library.error("wrong type of value %d", CANARY),
            lambda library: library.error("failed", exc_info=raised()),
            lambda library: library.error("failed", stack_info=True),
            lambda library: library.getChild(CANARY).error("a logger with a name"),
        ],
    )
    def test_the_canary_does_not(
        self, lines: Lines, capsys: pytest.CaptureFixture[str], say: Callable[[logging.Logger], None]
    ) -> None:
        say(self.library)
        assert lines.only["event"] == "library_message"
        assert WORD not in "".join(capsys.readouterr())

    @pytest.mark.usefixtures("before")
    def test_a_warning_is_a_librarys_word(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = Lines()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logs.configure(found.stream, json=True)
            warnings.warn(CANARY, stacklevel=1)
            logging.captureWarnings(capture=False)
        assert found.only["logger"] == "py.warnings"
        assert WORD not in "".join(capsys.readouterr())

    def test_a_level_of_its_own_is_rounded_down(self, lines: Lines) -> None:
        self.library.log(logging.ERROR + 5, "between the levels")
        assert lines.only["level"] == "error"

    @pytest.mark.usefixtures("before")
    def test_a_library_with_a_handler_of_its_own_is_taken_over(self) -> None:
        own = io.StringIO()
        library = logging.getLogger("closed.library")
        library.addHandler(logging.StreamHandler(own))
        library.propagate = False
        found = Lines()
        logs.configure(found.stream, json=True)
        library.error("Could not write %s", CANARY)
        assert found.only["template"] == "Could not write %s"
        assert not own.getvalue()

    def test_below_warning_libraries_are_not_heard(self, lines: Lines) -> None:
        self.library.info("Running upgrade")
        assert not lines.text
