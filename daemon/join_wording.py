"""What the join site says in a hospital's own words: held to the rules before anything starts."""

from __future__ import annotations

from daemon.settings import ConfigurationFaults, Fault, Settings


def refuse_faulty_pages(settings: Settings) -> None:
    """Raise :class:`ConfigurationFaults` for language files below ``join.wording`` that no page can be made with."""
    folder = settings.join.wording
    if folder is None:
        return
    if not folder.is_dir():
        raise ConfigurationFaults([Fault(str(folder), "", "is no folder", "Make it, or take out join.wording")])
    from web.join.site import FOLDER  # noqa: PLC0415 (most configurations have no wording of their own)
    from web.pages.language import LanguageFault, Languages  # noqa: PLC0415
    from web.pages.pages import KIT  # noqa: PLC0415

    try:
        Languages([KIT.joinpath("languages"), FOLDER.joinpath("languages"), folder])
    except LanguageFault as fault:
        mend = "Mend the file; the ones that ship show every key"
        raise ConfigurationFaults([Fault(str(folder), "", f"cannot be used: {fault}", mend)]) from None
