"""The data of messages in the log, on both databases."""

from msgspec.structs import replace

from storage.database.database import Database
from storage.log.commit import digest_of
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Person, Refusal
from tests.storage.nodes import Node, deletion, edit, message, outcomes

DATA = '{"url":"https://example.com/a.png","n":[1.5,null],"я":"\\u0000"}'
OTHER = '{"n":2}'


async def say(node: Node, data: str | None = DATA, client_msg_id: str = "c") -> ChatEvent:
    ann = await node.person("ann")
    return await node.say(replace(message(await node.group(ann), ann, "", client_msg_id), data=data))


async def kept(database: Database) -> list[str]:
    """All data in the table."""
    return [row["data"] for row in await database.fetch("SELECT data FROM chat_log WHERE data IS NOT NULL")]


async def test_data_is_stored_and_read_as_it_was_sent(node: Node) -> None:
    event = await say(node)
    assert (event.text, event.data) == ("", DATA)
    assert await node.history(event.chat_id) == [event]
    assert await node.log.messages_before(event.chat_id, None, 10) == [event]
    assert await node.log.find(event.chat_id, event.sender.id, "c") == event


async def test_message_without_data_stores_null(node: Node) -> None:
    assert (await say(node, None)).data is None
    assert await kept(node.database) == []


async def test_retry_has_the_data_and_other_data_reuse_the_id(node: Node, other_node: Node) -> None:
    event = await say(node)
    retry = replace(message(event.chat_id, event.sender, "", "c"), data=DATA)
    for where in (node, other_node):
        assert await where.submit(retry) == Committed(event, duplicate=True)
        for data in (OTHER, None):
            assert await where.submit(replace(retry, data=data)) is Refusal.ID_REUSED
    fresh = replace(retry, client_msg_id="new")
    first, again, other = await outcomes(
        [node.submit(one) for one in (fresh, replace(fresh), replace(fresh, data=OTHER))]
    )
    assert isinstance(first, Committed)
    assert (again, other) == (replace(first, duplicate=True), Refusal.ID_REUSED)


async def test_edit_replaces_data_or_keeps_them(node: Node) -> None:
    event = await say(node)
    kept_data = await node.say(edit(event, "new text"))
    assert (kept_data.text, kept_data.data) == ("new text", DATA)
    replaced = await node.say(replace(edit(event, ""), data=OTHER))
    assert (replaced.text, replaced.data) == ("", OTHER)
    assert [(e.text, e.data) for e in await node.history(event.chat_id)] == [("", OTHER)] * 3
    assert await kept(node.database) == [OTHER]


async def test_edits_of_one_batch_have_their_own_data(node: Node) -> None:
    event = await say(node)
    edits = [replace(edit(event, "a"), data=OTHER), edit(event, "b"), replace(edit(event, "c"), data=DATA)]
    answers = await outcomes([node.submit(one) for one in edits])
    assert [answer.event.data for answer in answers if isinstance(answer, Committed)][::2] == [OTHER, DATA]
    assert [(e.text, e.data) for e in await node.history(event.chat_id)] == [("c", DATA)] * 4


async def test_deletion_clears_data_everywhere(node: Node) -> None:
    event = await say(node)
    edited = await node.say(replace(edit(event, "x", client_msg_id="e"), data=OTHER))
    deleted = await node.say(deletion(event))
    assert (deleted.text, deleted.data) == ("", None)
    assert [e.data for e in await node.history(event.chat_id)] == [None] * 3
    assert await kept(node.database) == []
    retry = await node.submit(replace(edit(event, "x", client_msg_id="e"), data=OTHER))
    assert retry == Committed(replace(edited, text="", data=None, is_deleted=True), duplicate=True)


async def test_nodes_of_the_version_before_can_commit(postgres_node: Node) -> None:
    """They call the function without the arguments that this version added."""
    event = await say(postgres_node)
    call = "SELECT * FROM chat_log_commit($1, $2, $3, $4, $5, $6, $7, $8)"
    for kind, text, data in (("edit", "by an old node", DATA), ("delete", "", None)):
        new = NewEvent(event.chat_id, event.sender, kind, EventKind(kind), text, event.message_id)
        columns = [[event.chat_id], [event.sender.id], [kind], [kind], [event.message_id], [digest_of(new)], [text]]
        (row,) = await postgres_node.database.fetch(call, *columns, True)
        assert row["verdict"] == "created"
        first = (await postgres_node.history(event.chat_id))[0]
        assert (first.text, first.data) == (text, data)


def test_digest_of_a_message_without_data_is_unchanged() -> None:
    ann = Person(1, "ann")
    plain = NewEvent(1, ann, "a", EventKind.MESSAGE, "x")
    assert digest_of(plain).hex() == "5c85edf0e51700f48d87c8c6c3719640"
    digests = {digest_of(replace(plain, data=data)) for data in (None, "{}", OTHER)}
    assert len(digests) == 3
