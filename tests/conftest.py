"""What every test may ask for: a database of its own, on SQLite or on a real PostgreSQL.

One PostgreSQL serves all workers of a run. The process that started the run makes the meeting place and ends the
cluster; workers get the place's path and start the cluster when the first of them needs it, so that a run without
PostgreSQL tests starts none.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Databases, SharedCluster

CAMPAIGN = bool(os.environ.get("DOORSTEP_CAMPAIGN"))
CLUSTER = pytest.StashKey[SharedCluster]()
MEETING_PLACE = "doorstep_meeting_place"

# By itself Hypothesis holds each example to 200 ms and draws others at each run: a test would fail for the time that it
# took on a busy machine, or for what no other run had drawn. A campaign draws anew.
settings.register_profile(
    "doorstep", deadline=None, derandomize=not CAMPAIGN, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("doorstep")


def pytest_configure(config: pytest.Config) -> None:
    """Join the run's meeting place: the workers' from their controller, everybody else's own."""
    given = getattr(config, "workerinput", {}).get(MEETING_PLACE)
    folder = Path(given) if given else Path(tempfile.mkdtemp(prefix="doorstep-run-"))
    config.stash[CLUSTER] = SharedCluster(folder)
    if CAMPAIGN:
        config.addinivalue_line("filterwarnings", "error")


@pytest.fixture(autouse=CAMPAIGN)
def what_a_test_leaves_open_is_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect after the test's own fixtures have ended: it takes a tenth of a second, so only a campaign does it."""
    yield
    request.node.funcargs.clear()  # else what a fixture gave lives on until the next test
    gc.collect()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the meeting place is."""
    node.workerinput[MEETING_PLACE] = str(node.config.stash[CLUSTER].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave; whoever started the run waits until the cluster is gone."""
    cluster = config.stash[CLUSTER]
    if hasattr(config, "workerinput"):
        cluster.leave()
    else:
        cluster.end()
        shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(pytestconfig: pytest.Config) -> Databases:
    """The run's PostgreSQL cluster, for tests that make several databases or templates."""
    return pytestconfig.stash[CLUSTER].databases()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own, dropped afterwards."""
    url = databases.fresh_database()
    yield url
    databases.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of the test's own, not yet there."""
    return f"sqlite:///{tmp_path / 'doorstep.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each test runs twice: once on each database that doorstep promises."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
