import pytest

from gateway.protocol.codes import ErrorCode
from gateway.protocol.validation import check_client_msg_id, check_text, may_be_retry, new_client_msg_id


def test_generated_ids_are_valid_unique_and_never_retries() -> None:
    given = [new_client_msg_id() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert all(check_client_msg_id(one) and not may_be_retry(one) for one in given)


def test_id_of_a_client_may_be_a_retry() -> None:
    assert may_be_retry("c1")


@pytest.mark.parametrize("text", ["x", "hello", "Привет", "👋👋👋👋👋👋"])
def test_text_within_the_limit_is_valid(text: str) -> None:
    assert check_text(text, 6) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, ErrorCode.EMPTY_TEXT),
        (["x"], ErrorCode.EMPTY_TEXT),
        ("", ErrorCode.EMPTY_TEXT),
        (" \n\u200b", ErrorCode.EMPTY_TEXT),
        ("1234567", ErrorCode.TEXT_TOO_LONG),
        ("a\x00b", ErrorCode.INVALID_TEXT),
        ("я\x00", ErrorCode.INVALID_TEXT),
        ("a\ud800b", ErrorCode.INVALID_TEXT),
    ],
)
def test_invalid_text_has_its_error_code(text: object, error: ErrorCode) -> None:
    assert check_text(text, 6) is error


@pytest.mark.parametrize("value", ["x", "я", "x" * 64])
def test_client_msg_id_of_1_to_64_characters_is_valid(value: str) -> None:
    assert check_client_msg_id(value)


@pytest.mark.parametrize("value", [None, 5, ["x"], "", "x" * 65, "a\x00b", "я\x00", "a\ud800b"])
def test_invalid_client_msg_id_is_rejected(value: object) -> None:
    assert not check_client_msg_id(value)
