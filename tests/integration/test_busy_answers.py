"""What a provider says that is too busy: how long it wants to be left alone is heard, of messages and of questions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from daemon.fake_providers.http_server import Answer, HttpServer
from daemon.fake_providers.http_server import Request as Asked
from invites.channels.channel import NotSent, Request, Unknown
from invites.channels.gateway import Search
from invites.channels.loop_thread import LoopThread
from invites.channels.notify_answers import RATE_WINDOW
from tests.support.fake_street import FakeStreet
from tests.support.patience import SAFETY

SEVEN = timedelta(seconds=7)
MESSAGE = Request("sms", "ref-1", "+447700900123", b"Hello")


class Busy:
    """A server that answers everything alike."""

    def __init__(self) -> None:
        self.answer = Answer(503)
        self._server = HttpServer(self._told)
        self._loop = LoopThread("busy")
        self.url = f"http://127.0.0.1:{self._loop.run(lambda: self._server.start('127.0.0.1', 0), SAFETY)}"

    def close(self) -> None:
        self._loop.close(self._server.stop, SAFETY)

    async def _told(self, _asked: Asked) -> Answer:
        return self.answer


@pytest.fixture
def busy() -> Iterator[Busy]:
    made = Busy()
    yield made
    made.close()


@pytest.mark.parametrize(("status", "plain"), [(429, RATE_WINDOW), (503, None), (404, None)])
def test_notify_is_left_alone_for_as_long_as_it_says(busy: Busy, status: int, plain: timedelta | None) -> None:
    with FakeStreet() as street:
        notify = street.notify(url=busy.url)
        busy.answer = Answer(status)
        assert notify.search("ref-1") == Unknown(f"notify_search_{status}", plain)
        busy.answer = Answer(status, headers={"retry-after": "7"})
        assert notify.search("ref-1") == Unknown(f"notify_search_{status}", None if status == 404 else SEVEN)


def test_a_message_that_notify_was_too_busy_for_is_heard_as_well(busy: Busy) -> None:
    with FakeStreet() as street:
        busy.answer = Answer(503, headers={"retry-after": "7"})
        assert street.notify(url=busy.url).send(MESSAGE) == Unknown("notify_503", SEVEN)


def test_a_gateway_is_left_alone_for_as_long_as_it_says(busy: Busy) -> None:
    with FakeStreet() as street:
        search = Search(f"{busy.url}/sms?reference={{reference}}", (), (), timedelta(0))
        gateway = street.gateway(url=busy.url, search=search)
        busy.answer = Answer(503, headers={"retry-after": "7"})
        assert gateway.search("ref-1") == Unknown("gateway_search_503", SEVEN)
        assert gateway.send(MESSAGE) == Unknown("gateway_503", SEVEN)
        busy.answer = Answer(429, headers={"retry-after": "7"})
        assert gateway.send(MESSAGE) == NotSent("gateway_429", SEVEN)
        busy.answer = Answer(503)
        assert gateway.send(MESSAGE) == Unknown("gateway_503")
