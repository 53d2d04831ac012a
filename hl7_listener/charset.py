"""Which characters the bytes of a message are (SPEC 3.4; HL7 2.5.1 chapter 2.15.9.18 and table 0211).

The order is: what the listener is told to use, what MSH-18 declares (each repetition), what the listener takes for
granted where nothing is declared, strict UTF-8, Windows-1252, Latin-1. The last one reads any byte, so decoding never
fails; whether the answer was told or guessed is kept beside it. Only codecs that leave ASCII alone are known here,
because MSH must be found before its charset is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from patient_records.model import Masked

FALLBACK: Final = "utf-8"
_GUESSES: Final = (FALLBACK, "cp1252", "latin-1")

_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    # Table 0211 first, then what DICOM, Oracle, IANA and Windows call the same thing.
    "ascii": ("ASCII", "ISO IR6", "US-ASCII", "ISO 646", "7BIT"),
    "utf-8": ("UNICODE UTF-8", "UNICODE", "UTF-8", "ISO IR192", "AL32UTF8", "UNICODE UTF8 BOM"),
    "latin-1": ("LATIN1", "L1", "ISO IR100"),
    "iso8859-2": ("LATIN2", "ISO IR101"),
    "iso8859-3": ("ISO IR109",),
    "iso8859-4": ("ISO IR110",),
    "iso8859-5": ("ISO IR144",),
    "iso8859-6": ("ISO IR127",),
    "iso8859-7": ("ISO IR126",),
    "iso8859-8": ("ISO IR138",),
    "iso8859-9": ("LATIN5", "ISO IR148"),
    "iso8859-15": ("LATIN9", "ISO IR203"),
    "cp1252": ("ANSI", "WE8MSWIN1252"),
    "cp850": ("IBM850", "CP850", "850"),
    "cp437": ("IBM437", "CP437", "437"),
    "koi8-r": ("KOI8-R",),
    "gb18030": ("GB 18030-2000", "GB18030", "GBK", "GB2312"),
    "big5": ("BIG-5",),
    "euc_kr": ("KS X 1001", "EUC-KR"),
    "iso2022_jp_2": ("ISO IR14", "ISO IR87", "ISO IR159", "ISO-2022-JP"),
    "cp932": ("SHIFT_JIS", "SJIS", "MS932"),
    "euc_jp": ("EUC-JP",),
}
_NOISE: Final = re.compile("[^A-Z0-9]+")
_SEVEN_BIT: Final = frozenset({"iso2022_jp_2"})  # not ASCII although every byte is


def _key(name: str) -> str:
    return _NOISE.sub("", name.upper())


def _table() -> dict[str, str]:
    table = {_key(name): codec for codec, names in _SPELLINGS.items() for name in names}
    for part in (*range(1, 12), *range(13, 17)):
        codec = "latin-1" if part == 1 else f"iso8859-{part}"
        table |= {f"{prefix}8859{infix}{part}": codec for prefix in ("", "ISO", "WE8ISO") for infix in ("", "P")}
    for page in range(1250, 1259):
        table |= {f"{prefix}{page}": f"cp{page}" for prefix in ("", "CP", "WINDOWS", "ANSI", "MSWIN", "WIN")}
    return table


_CODECS: Final = _table()


_LONGEST_NAME: Final = 64


def codec_for(name: str) -> str | None:
    """Name the codec behind a charset's name as table 0211 or a real sender spells it; None for one we do not know."""
    return _codec_for(name[:_LONGEST_NAME])  # cut here: the whole of MSH-18 must not become a key of the cache


@lru_cache(maxsize=256)
def _codec_for(name: str) -> str | None:
    return _CODECS.get(_key(name))


class Decoded(Masked, Struct, frozen=True):
    """The characters, the codec that gave them, and whether that codec was guessed rather than told."""

    text: str
    charset: str
    guessed: bool


def decode(data: bytes, declared: Sequence[str], *, override: str | None = None, default: str | None = None) -> Decoded:
    """Read bytes as characters. Never raises.

    ``declared`` is MSH-18, repetition by repetition; ``override`` and ``default`` are the listener's. All may be
    spelt as :func:`codec_for` knows them; one that it does not know is passed over. Bytes that are plain ASCII leave
    nothing to guess.
    """
    told = list(_told(declared, override, default)) if declared or override or default else []
    if data.isascii() and not (told and told[0] in _SEVEN_BIT):
        return Decoded(data.decode("ascii"), told[0] if told else FALLBACK, guessed=False)
    for codec in told:
        text = _try(data, codec)
        if text is not None:
            return Decoded(text, codec, guessed=False)
    for codec in _GUESSES:
        text = _try(data, codec)
        if text is not None:
            return Decoded(text, codec, guessed=True)
    raise AssertionError("Latin-1 reads any byte")


def _told(declared: Sequence[str], override: str | None, default: str | None) -> Iterator[str]:
    for name in (override, *declared, default):
        codec = codec_for(name) if name else None
        if codec is not None:
            yield codec


def _try(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None
