"""Whatever a hospital writes, no code and no link is cut by the border of two parts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from invites.channels.sms import MOST_PARTS, Sms
from invites.wording.gsm7 import parts
from invites.wording.phrases import in_groups
from invites.wording.wording import Wording
from tests.support.invitation_texts import CODE, TOKEN, invitation

LETTERS = st.sampled_from(["a", "a b", "é", "€", "Ŵ", "ж", "\n"])
WORDS = st.builds(lambda letters, times: letters * times, LETTERS, st.integers(0, 80))
PLACEHOLDERS = st.sampled_from(
    ("{{ code }}", "{{ token }}", "{{ link }}", "{{ hospital }}", "{{ expires }}", "{{ code | replace(' ', '') }}")
)
TEMPLATES = st.lists(WORDS | PLACEHOLDERS, min_size=3, max_size=9).map("".join)


@settings(max_examples=300)
@given(TEMPLATES, st.integers(0, 60))
def test_no_code_and_no_link_straddles_two_parts(template: str, longer: int) -> None:
    own = {"en/invitation/sms.txt": template, "en/invitation/sms.short.txt": template}
    text = invitation(url=f"https://{'a' * longer}.example.org")
    body = Sms(Wording(own)).text_of(text)
    if body is None:
        return
    cut = parts(body)
    assert len(cut) <= MOST_PARTS
    for piece in (in_groups(CODE), in_groups(TOKEN), text.join_link, CODE, TOKEN):
        assert sum(part.count(piece) for part in cut) == body.count(piece)
