"""What an invitation says: templates in, finished text out.

Nothing here reads a file or a clock. :class:`~invites.wording.wording.Wording` is given the templates' text,
:mod:`~invites.wording.gsm7` knows what fits a text message, :mod:`~invites.wording.phrases` how a date and a code are
written. The templates that ship are package files under ``templates/``, named
``<language>/<purpose>/<what>``; a hospital's own take the place of those with the same name.
"""

from __future__ import annotations
