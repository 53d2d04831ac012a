"""Logs: one line of JSON for each event, from us and from every library, through one allow list.

Three doors lead into a log, and each has its guard.

* **Our own events** (structlog). Only keys of :mod:`daemon.log_keys` with values that look as they must.
* **Exceptions.** A database driver writes parameters into its messages, a parser writes what it could not parse. Of an
  exception come out its type, the types of its causes, our own error code, and module and line of its frames.
* **Libraries** (the standard library's ``logging``). Of a record come out the logger's name, the level, where, and its
  text *before* values were put in; and that only if it is a constant of the code that logged it. An f-string is no
  constant: asyncio's "Task exception was never retrieved" carries the exception's ``repr`` in just that way.

A line is made in two steps. Where it is logged, exceptions are reduced and literals proved, for that needs the callers.
The allow list, the JSON and the writing come after, in a thread of their own where the daemon serves
(:mod:`daemon.log_thread`), so that neither their time nor a full pipe is anybody's else's.

Uncaught exceptions of the process, of threads and of tasks take the second way. A logger that fails is silent: a broken
pipe must not stop the work that it tells of, and ``logging``'s own report of a failure would print the arguments.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict

from daemon.log_keys import ALLOW_LIST, Literal
from daemon.log_thread import LogThread

LIBRARY_LEVEL: Final = logging.WARNING
"""Libraries are heard from here on, for what they say below it ("Running upgrade") we say ourselves."""
DEEPEST: Final = 24
"""Frames of an exception that are named, the innermost ones; a recursion must not fill the disk."""
LONGEST_TEMPLATE: Final = 200
LONGEST_CHAIN: Final = 10
"""Causes that are named; a chain can be a ring."""
LAST_WORDS: Final = 2.0
"""Seconds that the end of the process waits for the last lines."""
_OURS: Final = ("daemon", "web", "hl7_listener", "invites", "patient_records")
_LEVELS: Final = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}
_ACCEPTS: Final = {name: key.accepts for name, key in ALLOW_LIST.items()}
_PROVED: Final = ("next", "template")
_encode: Final = msgspec.json.Encoder().encode


_threads: Final[list[LogThread]] = []
_doors: Final[list[tuple[int, Callable[[EventDict], None]]]] = []


def configure(stream: TextIO, *, json: bool, level: int = logging.INFO, background: bool = False) -> None:
    """Send all logs to ``stream``, as JSON lines or (on a terminal) for eyes, from ``level`` on.

    ``background``: a thread renders and writes, and whoever logs waits for neither; call :func:`flush` before the end.
    Takes over structlog, the standard library's ``logging`` with whatever handlers libraries gave themselves, warnings,
    and the hooks for uncaught exceptions of the process and of threads. Call it once, before the first event.
    """
    render = _as_json if json else structlog.dev.ConsoleRenderer(colors=stream.isatty())

    def line(event: dict[str, Any], at: float) -> str:
        return str(render(None, "", _allow(event, at)))

    _threads.clear()
    _doors.clear()
    out: Callable[[EventDict], None] = _Lines(stream, line).put
    if background:
        _threads.append(LogThread(stream, line, _dropped))
        out = _threads[0].put
        atexit.register(flush, LAST_WORDS)
    _doors.append((level, out))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _reduce_exception, _prove_literals, _hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Door(out),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries(max(level, LIBRARY_LEVEL))
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop report what its tasks and callbacks did not handle: never with the ``repr`` of what they hold."""
    loop.set_exception_handler(_unhandled_in_loop)


def tell(event: str, level: int, keys: dict[str, Any]) -> None:
    """Log an event the short way, past structlog: for the line that each message has, where microseconds count.

    The allow list holds as everywhere. Nothing is bound, nothing is reduced or proved: an exception or a sentence that
    comes this way is withheld. ``keys`` is the log's from here on. Silent before :func:`configure`.
    """
    for least, out in _doors:
        if level >= least:
            keys["event"] = event
            keys["level"] = _LEVELS.get(level, "critical")
            out(keys)


def flush(deadline: float) -> bool:
    """Wait until the lines so far are written, ``deadline`` seconds at most; whether they are."""
    return all(thread.flush(deadline) for thread in tuple(_threads))


def _dropped(count: int) -> dict[str, Any]:
    return {"event": "log_lines_dropped", "level": "warning", "count": count}


class _Lines:
    """Writes one line for each event, at once."""

    def __init__(self, stream: TextIO, render: Callable[[dict[str, Any], float], str]) -> None:
        self._stream = stream
        self._render = render

    def put(self, event: EventDict) -> None:
        line = self._render(dict(event), time.time())
        with suppress(OSError, ValueError):  # the pipe broke, or the stream is closed
            self._stream.write(line + "\n")
            self._stream.flush()


class _Door:
    """Where events leave structlog; every method of a logger is the same."""

    __slots__ = ("msg",)

    def __init__(self, out: Callable[[EventDict], None]) -> None:
        self.msg = out

    def __getattr__(self, _method: str) -> Callable[[EventDict], None]:
        return self.msg


def _hand_over(_logger: object, method: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    event["level"] = method
    return (event,), {}


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    return _encode(event).decode()


# --- the allow list


def _allow(event: EventDict, at: float) -> EventDict:
    """Build the line anew out of what the allow list knows; the event's name always stays in some form."""
    happened = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
    line: dict[str, Any] = {"timestamp": happened, "level": event.pop("level", "info")}
    name = event.pop("event", None)
    line["event"] = name if _ACCEPTS["event"](name) else "event_withheld"
    withheld = int(line["event"] is not name)
    for key, value in event.items():
        if value is None:
            continue
        accepts = _ACCEPTS.get(key)
        if accepts is None or not accepts(value):
            withheld += 1
        else:
            line[key] = value if type(value) is str else _plain(value)
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
