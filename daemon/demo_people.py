"""Invented people: everyone here is made up, and nothing about them can be anybody's.

NHS numbers come from the range that begins with 999, which is kept for tests, with a right check digit. Phones come
from Ofcom's numbers for drama (07700 900000 to 900999 and 01632 960000 to 960999). Mail goes to the domains of RFC
2606. Postcodes have the right form and letters that no post town has; streets and towns are invented.

The same questions to the same seed give the same people, and no two of a seed share an identifier.
"""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta
from random import Random
from typing import Final

from msgspec import Struct

from patient_records.model import Masked

MOST: Final = 500_000
"""People of one seed: the test range has 909,091 numbers whose check digit is a digit."""

_GIVEN_NAMES: Final = (
    "Ada Alun Amira Anaïs Angharad Beatrix Bláthnaid Bryn Cáit Carys Chidi Dafydd Delphine Dilys Eilidh Elin Emrys "
    "Fenella Ffion Gethin Gwendolyn Hamza Ifan Imogen Ines Iolo Ivor Jürgen Kwame Lowri Łukasz Mabel Marguerite "
    "Mehmet Nerys Ngozi Niamh Olwen Oluwaseun Owain Parveen Perpetua Quentin Rhiannon Rosalind Saoirse Seán Siân "
    "Tamsin Thérèse Tomos Ulrika Veronika Wilfred Xanthe Yasmin Yusuf Zoë Zsófia"
)
_GIVEN: Final = _GIVEN_NAMES.split(" ")
_FAMILY_NAMES: Final = (
    "Abernethwaite,Adeyemi-Thorne,ap Gruffudd,Applegarth,Bartholomew-Featherstonehaugh,Blackwood,Brankowska,"
    "Caddick,Cholmondeston,D'Abernathy,de la Croixmare,Dunnockshaw,Eastergate,Fairweather,Fernández-Quill,"
    "Gallowhill,Greyling,Haldane-Okoro,Hollingberry,Iqbalson,Jankowiak,Kettlewick,Llewelyn-Pryce,MacAllanby,"
    "Marchbank,Mc Gillivrayne,Müllerstein,Nguyễn-Hart,Ní Dhúbhain,Northcott-Bell,O'Brannagh,O'Neillan,Oakenshaw,"
    "Papadimos,Penhallow,Quartermayne,Ravensdale,Rosewarne,Sandhuraj,Silverthorn,St. Clairmont,Strömbergson,"
    "Tattersby,Trevanion,Umbridge,van der Heuvelen,Wetherspoone,Whitlock,Wojtyłowicz,Yarborough-Lisle,Youngblood,"
    "Zielińskaja"
)
_FAMILY: Final = _FAMILY_NAMES.split(",")
_STREETS: Final = (
    *("Mill Lane", "Tannery Row", "Heol y Felin", "Orchard Close", "The Wynd"),
    *("St Brannoc's Road", "Quayside", "Larkfield Avenue"),
)
_HOUSES: Final = ("", "", "", "Flat 2", "Fron", "Rose & Crown Court")
_TOWNS: Final = (
    *("Stonebeck", "Applewick", "Llanfelin Newydd", "Great Marling"),
    *("Thornmouth", "Kirkby Fell", "Abermorfa", "Saltby-on-Sea"),
)
_AREAS: Final = ("BW", "FW", "GW", "HW", "LC", "MW", "NB", "PC", "RB", "SB", "TC", "WB", "YD")
"""Two letters that begin no postcode of the United Kingdom, in the form of those that do."""
_INWARD: Final = "ABDEFGHJLNPQRSTUWXYZ"
_TITLES: Final = {"F": ("Mrs", "Ms", "Miss", "Dr", ""), "M": ("Mr", "Mr", "Dr", ""), "U": ("Mx", "")}
_PLAIN: Final = str.maketrans({"ł": "l", "Ł": "l"})


class Person(Masked, Struct, frozen=True):
    """One invented person. ``nhs_number`` is empty for a few, as in every hospital; ``birth`` is a full date."""

    number: int
    mrn: str
    nhs_number: str
    title: str
    family: str
    given: str
    sex: str
    birth: date
    mobile: str
    landline: str
    email: str
    lines: tuple[str, str]
    town: str
    postcode: str


def check_digit(nine: str) -> int:
    """Give the tenth digit of an NHS number by modulus 11 (NHS Data Dictionary); 10 means: no such number."""
    total = sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True))
    return (11 - total % 11) % 11


def nhs_number(serial: int) -> str | None:
    """Give the number of the test range with that serial, 0 to 999,999; None when it has no check digit."""
    nine = f"999{serial:06d}"
    digit = check_digit(nine)
    return None if digit == 10 else f"{nine}{digit}"  # noqa: PLR2004 (modulus 11 gives 10 for one in eleven)


class People:
    """All invented people of a seed. ``today`` decides who is of age."""

    def __init__(self, seed: int, today: date) -> None:
        """Start with nobody; people are numbered in the order in which they are asked for."""
        self._random = Random(seed)  # noqa: S311 (invented people, the same for the same seed)
        self._today = today
        self._count = 0
        self._serial = self._random.randrange(1_000_000)

    def adult(self) -> Person:
        """Invent somebody of 18 to 98 years."""
        return self._person(self._random.randrange(18 * 366, 98 * 365))

    def child(self) -> Person:
        """Invent somebody under 15 years."""
        return self._person(self._random.randrange(1, 15 * 365))

    def _person(self, age_in_days: int) -> Person:
        draw = self._random
        if self._count == MOST:
            raise ValueError(f"there are no more than {MOST} invented people")
        self._count += 1
        family, given, sex = draw.choice(_FAMILY), draw.choice(_GIVEN), draw.choice("FMFMFMU")
        return Person(
            number=self._count,
            mrn=f"D{self._count:07d}",
            nhs_number=self._next_nhs_number() if draw.random() < 0.95 else "",  # noqa: PLR2004 (one in twenty has none)
            title=draw.choice(_TITLES[sex]),
            family=family,
            given=given,
            sex=sex,
            birth=self._today - timedelta(days=age_in_days),
            mobile=f"07700900{draw.randrange(1000):03d}",
            landline=f"01632960{draw.randrange(1000):03d}",
            email=f"{_ascii(given)}.{_ascii(family)}.{self._count}@example.{draw.choice(('org', 'net', 'com'))}",
            lines=(f"{draw.randrange(1, 240)} {draw.choice(_STREETS)}", draw.choice(_HOUSES)),
            town=draw.choice(_TOWNS),
            postcode=self._postcode(),
        )

    def _next_nhs_number(self) -> str:
        while True:
            self._serial = (self._serial + 617_363) % 1_000_000  # a step without common factor visits each serial once
            number = nhs_number(self._serial)
            if number:
                return number

    def _postcode(self) -> str:
        draw = self._random
        inward = f"{draw.randrange(10)}{draw.choice(_INWARD)}{draw.choice(_INWARD)}"
        return f"{draw.choice(_AREAS)}{draw.randrange(1, 30)} {inward}"


def _ascii(name: str) -> str:
    """Spell a name for a mailbox: letters without marks, and nothing else."""
    letters = unicodedata.normalize("NFKD", name.translate(_PLAIN)).lower()
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
