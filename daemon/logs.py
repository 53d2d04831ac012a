"""Logs: one line of JSON for each event, from us and from every library, through one allow list.

Three doors lead into a log, and each has its guard.

* **Our own events** (structlog). Only keys of :mod:`daemon.log_keys` with values that look as they must.
* **Exceptions.** A database driver writes parameters into its messages, a parser writes what it could not parse. Of an
  exception come out its type, the types of its causes, our own error code, and module and line of its frames.
* **Libraries** (the standard library's ``logging``). Of a record come out the logger's name, the level, where, and its
  text *before* values were put in; and that only if it is a constant of the code that logged it. An f-string is no
  constant: asyncio's "Task exception was never retrieved" carries the exception's ``repr`` in just that way.

Uncaught exceptions of the process, of threads and of tasks take the second way. A logger that fails is silent: a broken
pipe must not stop the work that it tells of, and ``logging``'s own report of a failure would print the arguments.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from daemon.log_keys import ALLOW_LIST, Literal

LIBRARY_LEVEL: Final = logging.WARNING
"""Libraries are heard from here on, for what they say below it ("Running upgrade") we say ourselves."""
DEEPEST: Final = 24
"""Frames of an exception that are named, the innermost ones; a recursion must not fill the disk."""
LONGEST_TEMPLATE: Final = 200
LONGEST_CHAIN: Final = 10
"""Causes that are named; a chain can be a ring."""
_OURS: Final = ("daemon", "web", "hl7_listener", "invites", "patient_records")
_PROVED: Final = ("next", "template")
_encode: Final = msgspec.json.Encoder().encode


def configure(stream: TextIO, *, json: bool, level: int = logging.INFO) -> None:
    """Send all logs to ``stream``, as JSON lines or (on a terminal) for eyes, from ``level`` on.

    Takes over structlog, the standard library's ``logging`` with whatever handlers libraries gave themselves, warnings,
    and the hooks for uncaught exceptions of the process and of threads. Call it once, before the first event.
    """
    render = _as_json if json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *_guards(), render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries(max(level, LIBRARY_LEVEL))
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop report what its tasks and callbacks did not handle: never with the ``repr`` of what they hold."""
    loop.set_exception_handler(_unhandled_in_loop)


class _Lines:
    """Writes one line for each event; every method of a logger is the same."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):  # the pipe broke, or the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


def _guards() -> tuple[Processor, ...]:
    return (_reduce_exception, _prove_literals, _allow)


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    return _encode(event).decode()


# --- the allow list


def _allow(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Build the line anew out of what the allow list knows; the event's name always stays in some form."""
    line: dict[str, Any] = {"timestamp": datetime.now(UTC).isoformat(), "level": event.pop("level", "info")}
    name = event.pop("event", None)
    line["event"] = name if ALLOW_LIST["event"].accepts(name) else "event_withheld"
    withheld = int(line["event"] is not name)
    for key, value in event.items():
        if value is None:
            continue
        known = ALLOW_LIST.get(key)
        if known is None or not known.accepts(value):
            withheld += 1
        else:
            line[key] = _plain(value)
    if withheld:
        line["withheld"] = withheld
    return line


def _plain(value: object) -> object:
    """Strip subclasses of text (enumerations, literals), whose own ``__str__`` could say anything."""
    return str.__str__(value) if isinstance(value, str) and type(value) is not str else value


# --- literals


def _prove_literals(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Mark what stands as a constant in the code of a caller; the allow list drops what could not be proved."""
    for key in _PROVED:
        text = event.get(key)
        if isinstance(text, str) and not isinstance(text, Literal) and _stands_in_code(text, sys._getframe()):  # noqa: SLF001 (CPython's only way to the caller)
            event[key] = Literal(text)
    return event


def _stands_in_code(text: str, frame: FrameType | None) -> bool:
    """Whether some caller's code holds the text as a constant."""
    return any(text in _constants(caller.f_code) for caller in _callers(frame))


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _constants(code: CodeType) -> tuple[str, ...]:
    return tuple(constant for constant in code.co_consts if isinstance(constant, str))


# --- exceptions


def _reduce_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by what may be said of it."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = _exception(given)
    if error is not None:
        event.update(describe(error))
    return event


def _exception(given: object) -> BaseException | None:
    """Find the exception in the forms that loggers accept: itself, a triple, or True for the one being handled."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return next((part for part in given if isinstance(part, BaseException)), None)
    return sys.exception() if given else None


def describe(error: BaseException) -> dict[str, str]:
    """Say of an exception ``error`` (types), ``where`` (module:line) and, for one of ours that has it, ``error_code``.

    Never its arguments, its notes or its text.
    """
    said = {"error": " < ".join(type(one).__name__ for one in _chain(error)), "where": _where(error.__traceback__)}
    ours = type(error).__module__.partition(".")[0] in _OURS
    code = getattr(error, "code", None) if ours else None
    if isinstance(code, str):
        said["error_code"] = code
    return {key: value for key, value in said.items() if value}


def _chain(error: BaseException) -> list[BaseException]:
    """Follow an exception to its causes; of a group, to its first member."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(found) < LONGEST_CHAIN:
        found.append(following)
        inner = following.exceptions[0] if isinstance(following, BaseExceptionGroup) else None
        hidden = None if following.__suppress_context__ else following.__context__
        following = inner or following.__cause__ or hidden
    return found


def _where(traceback: TracebackType | None) -> str:
    places = []
    while traceback is not None:
        places.append(f"{traceback.tb_frame.f_globals.get('__name__', '-')}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " > ".join(places[-DEEPEST:])


def _report(event: str, error: BaseException | None, **keys: object) -> None:
    structlog.get_logger().critical(event, exc_info=error, **keys)


def _uncaught(_type: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    _report("uncaught_exception", error)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    _report("unraisable_exception", unraisable.exc_value)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:  # which ends a thread as it ends a process: in silence
        _report("uncaught_exception_in_thread", args.exc_value)


def _unhandled_in_loop(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Report what a loop met. Its ``message`` counts as a library's: it may hold a ``repr``, so it must be proved."""
    error = context.get("exception")
    template = context.get("message") if error is None else None
    _report("unhandled_in_event_loop", error if isinstance(error, BaseException) else None, template=template)


# --- libraries


def _take_over_libraries(level: int) -> None:
    """Make our handler the only one, at the root; loggers that libraries closed off are opened."""
    logging.raiseExceptions = False  # else a failing handler prints the record's arguments
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers = [_LibraryHandler(level)]
    root.setLevel(level)
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers = []
            logger.propagate = True


class _LibraryHandler(logging.Handler):
    """Turns a library's record into an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on what is known to be safe. An error in here ends here."""
        with suppress(Exception):
            keys: MutableMapping[str, object] = {"logger": record.name, "exc_info": record.exc_info}
            keys["where"] = f"{record.module}:{record.lineno}"
            if isinstance(record.msg, str) and _logged_by(record, sys._getframe()):  # noqa: SLF001 (as above)
                keys["template"] = Literal(" ".join(record.msg.split())[:LONGEST_TEMPLATE])
            log: Callable[..., Any] = structlog.get_logger().log
            log(_known_level(record.levelno), "library_message", **keys)


def _known_level(level: int) -> int:
    """Round a library's own level down to one that structlog names."""
    return min(max(level // 10 * 10, logging.DEBUG), logging.CRITICAL)


def _logged_by(record: logging.LogRecord, frame: FrameType | None) -> bool:
    """Whether the text is a constant of the very function that logged it."""
    callers = (one.f_code for one in _callers(frame) if one.f_code.co_filename == record.pathname)
    return any(record.msg in _constants(code) for code in callers if code.co_name == record.funcName)
