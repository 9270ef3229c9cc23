"""What the tests take from the seeds is what stands in them."""

import hashlib

import pytest

from tests.seeds.extract import FOLDER, chat_websocket_class, code_block, code_blocks, seed_text

DIGESTS = {
    0: "3fecceabcdd164ed6ba948a05b0c8aee51c9b42c839456e93502a25bf34acaa1",
    1: "366da6aaa3ac48a2466f15d7017ba6d5c1545211a40045c94deba66d88a270e5",
    2: "c61d51ee4218281ff9b128405d84940d17ce62341e593c943e71457b7398075d",
    3: "f3496531c2edf17bf2ae99946026b15c52dcb1c01fb3c3a081e5dd501910eccd",
    4: "f6ea12bafb1c564ee62177a843efada4b3fe1d065b008b6a303eb53fa582a2de",
}


@pytest.mark.parametrize("number", range(5))
def test_the_seeds_are_as_they_were_given(number: int) -> None:
    assert hashlib.sha256(seed_text(number).encode()).hexdigest() == DIGESTS[number]
    assert len(list(FOLDER.glob("*.txt"))) == len(DIGESTS)


def test_blocks_know_their_language_and_their_heading() -> None:
    blocks = code_blocks("# One\n```js\na\n```\n## Two\ntext\n  ```\n# not a heading\n  ```\n")
    assert [(block.language, block.heading, block.code) for block in blocks] == [
        ("js", "One", "a\n"),
        ("", "Two", "# not a heading\n"),
    ]


def test_a_block_that_is_not_there_or_not_alone_is_an_error() -> None:
    with pytest.raises(LookupError, match="has 0"):
        code_block(4, "javascript", "no such heading")
    with pytest.raises(LookupError, match="has 2"):
        code_block(4, "javascript", "JavaScript")


def test_the_chat_class_is_whole_and_speaks_to_the_given_server() -> None:
    source = chat_websocket_class("ws://somewhere:1")
    assert source.startswith("class ChatWebSocket {") and source.endswith("    }\n}\n")
    assert "`ws://somewhere:1/ws/chat/${this.chatId}/`" in source
    assert source.replace("ws://somewhere:1", "ws://localhost:8000") in seed_text(4)
