"""Sealed texts open with their key and context only."""

import pytest

from auth.encryption.secret_box import SecretBox, box_of_secret, is_sealed
from auth.errors import CannotDecrypt

BOX = SecretBox("ab", b"k" * 32)
SECRET = b"thirty-two bytes of a secret ..."


def test_sealed_text_opens_with_its_context() -> None:
    sealed = BOX.seal(SECRET, "table.row")
    assert BOX.open(sealed, "table.row") == SECRET
    assert sealed.startswith("v1.ab.")
    assert is_sealed(sealed)
    assert BOX.seal(SECRET, "table.row") != sealed


@pytest.mark.parametrize("box", [SecretBox("ab", b"x" * 32), SecretBox("cd", b"k" * 32)])
def test_other_key_or_id_does_not_open(box: SecretBox) -> None:
    with pytest.raises(CannotDecrypt):
        box.open(BOX.seal(SECRET, "row"), "row")


def test_sealed_text_of_another_row_does_not_open() -> None:
    with pytest.raises(CannotDecrypt):
        BOX.open(BOX.seal(SECRET, "row 1"), "row 2")


@pytest.mark.parametrize(("length", "end"), [(-8, ""), (-6, "AAAAAA"), (6, "é"), (6, "")])
def test_changed_text_does_not_open(length: int, end: str) -> None:
    with pytest.raises(CannotDecrypt):
        BOX.open(BOX.seal(SECRET, "row")[:length] + end, "row")


def test_id_of_secret_does_not_show_its_key() -> None:
    one, other = box_of_secret("s" * 32), box_of_secret("t" * 32)
    assert one.key_id != other.key_id
    assert box_of_secret("s" * 32).open(one.seal(SECRET, "row"), "row") == SECRET
