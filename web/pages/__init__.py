"""What every page for a browser stands on, whoever it is for: patients on the join port, staff on the api port.

A face makes one :class:`~web.pages.pages.Pages` out of its templates and language files (:mod:`~web.pages.language`)
and the hospital's name and colour (:mod:`~web.pages.theme`), and wraps its routes with
:func:`~web.pages.face.browser_face`: headers, limits and error pages (:mod:`~web.pages.guard`), style and scripts from
its own port (:mod:`~web.pages.assets`). Whatever changes something is a POST that carries a form token
(:mod:`~web.pages.forms`); who is logged in is a :mod:`~web.pages.visit`, kept in the database.
"""
