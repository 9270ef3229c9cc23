"""Messages of the system and changes by others, in every dialect."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway.dialects.base import Dialect, Request
from gateway.dialects.chat import ChatDialect, message_object
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.service import ServiceDialect
from gateway.protocol import publications
from gateway.protocol.commands import GetHistory
from gateway.protocol.replies import HistoryPage
from storage.records import SYSTEM, ChatEvent, Person
from tests.gateway.dialects.samples import JOHN, MESSAGE

NOTICE = replace(MESSAGE, sender=SYSTEM)
SYSTEM_USER = {"id": 0, "username": "system", "first_name": "", "last_name": ""}
EVE = Person(2, "eve")


def pushed(dialect: Dialect, event: ChatEvent) -> dict[str, Any]:
    push: dict[str, Any] = orjson.loads(dialect.push(event) or b"")
    return push


@pytest.mark.parametrize("dialect", [ChatDialect(), PublicDialect()])
def test_system_is_a_user_in_the_seeds_form(dialect: Dialect) -> None:
    data = pushed(dialect, NOTICE)["data"]
    assert (data["kind"], data["sender"]) == ("system", SYSTEM_USER)
    history = orjson.loads(dialect.reply(HistoryPage(1, [NOTICE], 7), None) or b"")
    assert history["messages"] == [data]


def test_sender_of_system_is_null_on_native_and_http() -> None:
    data = pushed(NativeDialect(), NOTICE)["data"]
    assert (data["kind"], data["sender"]) == ("system", None)
    request = Request(GetHistory(None, None, 50), "history", 1)
    history = orjson.loads(NativeDialect().reply(HistoryPage(1, [NOTICE], 7), request) or b"")
    assert history["messages"] == [data]
    assert orjson.loads(orjson.dumps(message_object(NOTICE)))["sender"] is None


def test_system_has_id_0_in_the_flat_form() -> None:
    push = pushed(ServiceDialect(), NOTICE)
    assert (push["kind"], push["sender_id"]) == ("system", 0)


def test_change_by_another_names_author_and_changer() -> None:
    event = replace(MESSAGE, text="", is_deleted=True, by=EVE)
    for dialect in (ChatDialect(), NativeDialect()):
        data = pushed(dialect, event)["data"]
        assert (data["sender"]["id"], data["by"]["id"], data["by"]["username"]) == (JOHN.id, EVE.id, "eve")
    push = pushed(ServiceDialect(), event)
    assert (push["sender_id"], push["by_id"]) == (JOHN.id, EVE.id)


def test_change_by_system_names_it_as_a_sender() -> None:
    event = replace(MESSAGE, by=SYSTEM)
    assert pushed(ChatDialect(), event)["data"]["by"] == SYSTEM_USER
    assert pushed(NativeDialect(), event)["data"]["by"] is None
    assert pushed(ServiceDialect(), event)["by_id"] == 0


@pytest.mark.parametrize("dialect", [ChatDialect(), NativeDialect(), ServiceDialect()])
def test_message_of_user_has_no_new_keys(dialect: Dialect) -> None:
    push = pushed(dialect, MESSAGE)
    assert not {"kind", "by", "by_id"} & (push | push.get("data", {})).keys()


@pytest.mark.parametrize("event", [NOTICE, replace(MESSAGE, by=EVE), replace(MESSAGE, by=SYSTEM)])
def test_other_nodes_receive_sender_and_changer(event: ChatEvent) -> None:
    received = publications.decode(publications.encode(event))
    assert isinstance(received, ChatEvent)
    assert (received.sender, received.by) == (event.sender, event.by)


def test_publication_of_an_earlier_version_has_no_changer() -> None:
    payload = orjson.dumps(orjson.loads(publications.encode(MESSAGE))[:10])
    received = publications.decode(payload)
    assert isinstance(received, ChatEvent)
    assert received.by is None
