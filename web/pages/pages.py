"""A face's pages: templates, languages, forms and the hospital's look, brought together for one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from babel import dates, localedata
from jinja2 import BaseLoader, ChoiceLoader, Environment, FunctionLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from web.pages.assets import Assets
from web.pages.cookies import Cookie
from web.pages.forms import FIELD, FormGuard
from web.pages.language import Languages
from web.pages.theme import DEFAULT_COLOUR, theme

KIT: Final = files("web.pages")
"""What all faces share: the layout, its texts, the style."""

_A_YEAR: Final = 31536000
_SEE_OTHER: Final = 303


class Look(Struct, frozen=True):
    """How a hospital's pages look: its ``name`` in the bar, its ``contact`` for questions, its ``colour`` (#rrggbb)."""

    name: str
    contact: str
    colour: str = DEFAULT_COLOUR


class Pages:
    """Makes pages. One for each face."""

    def __init__(
        self,
        folder: Traversable,
        look: Look,
        *,
        secure: bool,
        zone: tzinfo,
        wording: Sequence[Traversable] = (),
        default_language: str = "en",
        prefix: str = "",
    ) -> None:
        """``folder`` is the face's: ``templates/``, ``languages/`` and perhaps ``assets/``.

        ``secure`` says that browsers come over TLS, ``wording`` are folders of a hospital's own language files, times
        are shown in ``zone``, ``prefix`` is the path below which the face is mounted. A face speaks the languages for
        which its own folder or the hospital's has files. Raises :class:`web.pages.language.LanguageFault`.
        """
        self.look: Final = look
        self.secure: Final = secure
        self.forms: Final = FormGuard(secure=secure)
        own_languages = [folder.joinpath("languages"), *wording]
        self.languages: Final = Languages([KIT.joinpath("languages"), *own_languages], default_language, own_languages)
        own = [place for place in (folder.joinpath("assets"),) if place.is_dir()]
        self.assets: Final = Assets([KIT.joinpath("assets"), *own], {"theme.css": theme(look.colour)}, prefix)
        self._language = Cookie("doorstep-language", secure=secure, max_age=_A_YEAR)
        self._zone = zone
        self._environment = Environment(
            loader=ChoiceLoader([_loader(folder), _loader(KIT)]),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(asset=self.assets.url, look=look, form_field=FIELD, t=self._text)
        self._environment.filters.update(day=self._day, moment=self._moment)

    def language_of(self, request: Request) -> str:
        """The language of this request: the one asked for in its address, else the one chosen before, else likely."""
        wanted = request.query_params.get("lang") or self._language.read(request)
        return self.languages.choose(wanted, request.headers.get("accept-language", ""))

    def say(self, request: Request, key: str, **values: object) -> str:
        """Give one text in the request's language."""
        return self.languages.say(self.language_of(request), key, _values(self.look, values))

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Make a page. What the template names and is not given is a fault, never a blank.

        ``look`` among the values puts another hospital's in place of the face's.
        """
        language = self.language_of(request)
        html = self._environment.get_template(template).render(
            request_path=request.url.path,
            language=language,
            languages=self.languages.names,
            form_token=self.forms.token(request),
            **values,
        )
        response = HTMLResponse(html, status, headers={"content-language": language, "vary": "accept-language, cookie"})
        if request.query_params.get("lang") == language:
            self._language.write(response, language)
        self.forms.keep(request, response)
        return response

    def go(self, request: Request, path: str) -> RedirectResponse:
        """Send the browser on to another page of ours, after a form (303)."""
        response = RedirectResponse(path, _SEE_OTHER)
        self.forms.keep(request, response)
        return response

    def error(self, request: Request, status: int) -> HTMLResponse:
        """Make the page for an error: what it means and what to do, and nothing of the inside."""
        known = (
            status if f"error.{status}.title" in self.languages.keys(self.languages.default) else _CLASS[status // 100]
        )
        return self.show(request, "error.html", status, key=f"error.{known}")

    @pass_context
    def _text(self, context: Context, key: str, **values: object) -> str:
        look: Look = context["look"]
        return self.languages.say(context["language"], key, _values(look, values))

    @pass_context
    def _day(self, context: Context, day: date) -> str:
        """Write a day with its month as a word."""
        return dates.format_date(day, "d MMMM y", locale=dates_locale(context["language"]))

    @pass_context
    def _moment(self, context: Context, moment: datetime) -> str:
        """Write a moment in the hospital's zone."""
        local, locale = moment.astimezone(self._zone), dates_locale(context["language"])
        return f"{dates.format_date(local, 'd MMMM y', locale=locale)}, {local:%H:%M}"


_CLASS: Final = {4: 400, 5: 500}


def dates_locale(language: str) -> str:
    """Give a language in which dates can be written: itself, or English where nobody taught us its months."""
    return language if localedata.exists(language) else "en"


def _values(look: Look, values: Mapping[str, object]) -> dict[str, object]:
    return {"hospital": look.name, "contact": look.contact, **values}


def _loader(folder: Traversable) -> BaseLoader:
    templates = folder.joinpath("templates")

    def read(name: str) -> str | None:
        file = templates.joinpath(name)
        return file.read_text("utf-8") if file.is_file() else None

    return FunctionLoader(read)
