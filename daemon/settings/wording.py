"""[wording]: what patients are told, in a hospital's own words."""

from __future__ import annotations

from pathlib import Path

from daemon.settings.section import Section
from daemon.settings.value_types import FilePath


class Wording(Section):
    """[wording]."""

    folder: FilePath = Path("wording")
    """The folder of the hospital's own templates, absolute once loaded; it need not exist."""
