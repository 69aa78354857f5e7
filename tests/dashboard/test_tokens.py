"""Signed addresses."""

from __future__ import annotations

import pytest

from dashboard.tokens import LIFETIME_S, Claim, Purpose, TokenError, Tokens

CLAIM = Claim("anna@example.org", Purpose.SOUND, "support/0123 ü")


def test_a_token_says_what_was_signed_and_fits_an_address() -> None:
    tokens = Tokens()
    token = tokens.sign(CLAIM)

    assert tokens.read(token, Purpose.SOUND) == CLAIM
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_a_token_for_sound_opens_no_export() -> None:
    tokens = Tokens()

    with pytest.raises(TokenError, match="for sound, not for export"):
        tokens.read(tokens.sign(CLAIM), Purpose.EXPORT)


def test_a_token_ends_with_its_time() -> None:
    now = 1000.0
    tokens = Tokens(clock=lambda: now)
    token = tokens.sign(CLAIM)

    now += LIFETIME_S
    assert tokens.read(token, Purpose.SOUND) == CLAIM
    now += 1
    with pytest.raises(TokenError, match="too old"):
        tokens.read(token, Purpose.SOUND)


@pytest.mark.parametrize("changed", ["", ".", "a.b", "ü.ü", "AAAA.AAAA", "=.=", "A" * 5000])
def test_what_nobody_signed_is_refused(changed: str) -> None:
    with pytest.raises(TokenError, match="not one of this server's"):
        Tokens().read(changed, Purpose.SOUND)


def test_a_changed_token_and_one_of_another_process_are_refused() -> None:
    tokens = Tokens()
    token = tokens.sign(CLAIM)
    body, _, mark = token.partition(".")
    other = tokens.sign(Claim("mallory", Purpose.SOUND, CLAIM.subject)).partition(".")[0]

    for forged in (f"{other}.{mark}", f"{body}.{mark[:-2]}", f"{body}A.{mark}", Tokens().sign(CLAIM)):
        with pytest.raises(TokenError, match="not one of this server's"):
            tokens.read(forged, Purpose.SOUND)
