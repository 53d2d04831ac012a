"""What commands put together on a house to work beside the daemon: spreadsheets, replays, the quarantine."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from daemon.bootstrap import House, utc_now
from hl7_listener.csv_import import LISTENER, CsvImport
from hl7_listener.options import ListenerOptions
from hl7_listener.reprocessing import Reprocessing


def reprocessing(house: House) -> Reprocessing:
    """What settles messages that come from no connection."""
    return Reprocessing(house.database, house.stores, house.telemetry, utc_now)


def csv_import(house: House) -> CsvImport:
    """What imports spreadsheets: for each organisation, as a listener of its own would take its rows."""
    listeners = {
        one.code: ListenerOptions(LISTENER, "", 0, one.code, ZoneInfo(one.timezone))
        for one in house.settings.all_organisations
    }
    return CsvImport(reprocessing(house), listeners)
