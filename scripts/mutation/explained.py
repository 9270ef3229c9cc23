"""Mutants that no test of their room can notice, by function and changed line, each with the reason.

The line is that of the mutant; or the original one, if the reason holds for every mutant of it.
"""

_POSTGRES = "on PostgreSQL, whose tests are too slow to run for each mutant"

EXPLAINED: dict[tuple[str, str], str] = {
    # protocol
    ("seq_of", 'return int(payload.split(b",", )[2])'): "splits more than it needs: slower, not different",
    ("seq_of", 'return int(payload.split(b",", 4)[2])'): "splits more than it needs: slower, not different",
    ("_publication", ""): "a match that falls through returns None too; the case is there for the reader",
    ("_is_encodable", "if False:"): "a shortcut: ASCII is always encodable",
    # delivery
    (
        "_most_bytes",
        "reactions = 0 if (event.reactions is None and event.reaction is None) and False else _REACTIONS_BYTES",
    ): "a higher upper bound: more is encoded, and fits",
    (
        "Sweep.step",
        "self._reach([outlet for outlet in outlets if outlet not in self._gone] if (self._gone) or True else outlets)",
    ): "a shortcut: of nothing that has gone nothing is left out",
    ("History.after", "while len(events) <= limit:"): "one more round, whose events the limit cuts off",
    ("first_within", "if False:"): "a shortcut: what certainly fits is not encoded",
    (
        "first_within",
        "if sum(_CHARACTER_BYTES * len(event.text) + _EVENT_BYTES for event in events) < max_bytes:",
    ): "an upper bound that is met exactly: the events are encoded, and fit",
    ("Hub.broadcast", "if True:"): "a chat that is flushed twice in a turn has nothing pending the second time",
    ("_FlushBatch.push_to", "if False:"): "without authors every subscriber is among the others",
    ("ReorderBuffer.add", "if True:"): "a shortcut: nothing is held, so nothing is released",
    (
        "ReorderBuffer.add",
        "elif event.seq >= self.next_seq and len(self._held) < MAX_HELD:",
    ): "equality is the case above",
    ("_Page.rewrite", "if True:"): "a shortcut: a change of a message that the page lacks changes none of its events",
    (
        "_Page.beyond",
        "start = max(0, seq + 1 - self._events[0].seq) if self._events else 1",
    ): "an empty page has no events from anywhere",
    ("ReplayCache.add", "if True:"): "a message is not in any page yet, so that it rewrites nothing",
    ("ReplayCache._fill", "for event in delivered.beyond(1):"): "the event appended first has at least seq 2",
    ("_Reading.__init__", "self.page = None"): "replaced before it is read, or the read has failed",
    ("Resume._page", "size = 1"): "a write may be a byte shorter",
    ("Resume._page", "if size > WRITE_BYTES:"): "a write may be an event longer",
    (
        "Resume._page",
        "for event, frame in zip(replay.events, replay.frames, strict=None):",
    ): "a replay has one frame an event; strict guards against a defect",
    (
        "Resume._page",
        "for event, frame in zip(replay.events, replay.frames, ):",
    ): "a replay has one frame an event; strict guards against a defect",
    (
        "Resume._page",
        "for event, frame in zip(replay.events, replay.frames, strict=False):",
    ): "a replay has one frame an event; strict guards against a defect",
    # storage/log
    ("_Batch._is_member", "if True:"): "a cache within a batch: asks the database again",
    ("_Batch._is_member", "if (known := self._members.get(None)) is None:"): "the same",
    ("_Batch._append", "self._last_id += 2"): "ids only have to rise",
    ("digest_of", 'return blake2b(content.encode("UTF-8", "surrogatepass"), digest_size=16).digest()'): "one codec",
    ("_SqliteInsert.__init__", "self._writer = SqliteWriter(path, None)"): "the name of a thread",
    ("_SqliteInsert.__init__", 'self._writer = SqliteWriter(path, "XXtranscriptsXX")'): "the name of a thread",
    ("forget", "if True:"): "a shortcut: without replies there is nothing to clear",
    (
        "_silence",
        'return Refusal.MUTED if row["muted_until"] > now_ms / 1000 else None',
    ): "a whole number of seconds is above a number if it is above its floor",
    ("EventRanges.read", "await self._database.fetch(self._all, chats, firsts, lasts, limit)"): _POSTGRES,
    ("EventRanges.read", "chats, firsts, lasts = (list(column) for column in zip(*ranges, strict=True))"): _POSTGRES,
    ("EventRanges.read", "found.setdefault(chat_id, []).append(event)"): _POSTGRES,
    ("StoredTranscripts._take", "size = 1"): "a batch may be a byte shorter",
    # sessions
    ("Session._proceed", "if len(self._waiting) == MAX_WAITING / 2:"): "MAX_WAITING is even",
    (
        "OneCommand.__init__",
        'super().__init__(context, peer, "", _NoSocket(), None)',
    ): "called by a socket that closes, and this one has none",
    ("Conversation.__init__", "self._is_lost = None"): "only its truth is read",
    (
        "ChatSession.__init__",
        'assert peer.person is not None, "MEMBERS ARE USERS"  # noqa: S101',
    ): "the text of an assertion",
    (
        "ChatSession._handle",
        "access = ChatAccess(chat_id, last_seq, self._subscription.local.epoch, is_member=False)",
    ): "a page of history is the same for members and visitors",
    (
        "SingleChatSession._begin",
        'self._context.tasks.spawn(self._go_live(), "GO LIVE")',
    ): "the name of a task, which only a log line has",
    ("SingleChatSession._begin", "self._context.tasks.spawn(self._go_live(), None)"): "the same",
    (
        "SingleChatSession._begin",
        'self._context.tasks.spawn(self._go_live(), "XXgo liveXX")',
    ): "the same",
    (
        "EchoSession.on_message",
        'self._echo.tasks.spawn(self._catch_up(), "ECHO CATCH-UP")',
    ): "the name of a task, which only a log line has",
    # transport
    ("UvicornSocket.__init__", 'self.server = self.client = ""'): "replaced before they are read",
    (
        "UvicornSocket.__init__",
        "self.close_sent = self.disconnected = self.read_paused = None",
    ): "only their truth is read",
    (
        "UvicornSocket.prepared_close",
        "return Frame(Opcode.CLOSE, payload).serialize(mask=None)",
    ): "only its truth is read",
    (
        "WebSocketProtocol.handle_parser_exception",
        "if True:",
    ): "after our CLOSE websockets prepares no other, and the application reads no further event",
    (
        "WebSocketProtocol.handle_parser_exception",
        "elif True:",
    ): "websockets has sent a CLOSE if it has not received one; the condition is for the type",
    ("SocketWriter.send", "written = None"): "a slice from None is all of it, as from 0",
    (
        "HttpProtocol.handle_websocket_upgrade",
        "transport = WebSocketProtocol(self.config, self.server_state, self.app_state, )",
    ): "the default is the running loop",
    ("WebSocketProtocol.__init__", "super().__init__(config, server_state, app_state, )"): "the same",
    (
        "Incoming.drop_unread",
        'self.is_held, self._unread, self._at = False, b"", 1',
    ): "an empty read has no rest, at any offset",
    ("Incoming.__init__", 'self._unread, self._at = b"", 1'): "the same",
    ("HttpProtocol.on_headers_complete", "self._is_head = None"): "only its truth is read",
    ("FrameReader.__init__", "self.cost = 1"): "replaced before it is read",
    ("DirectConnection.__init__", "self._is_close_reported = None"): "only its truth is read",
    ("DirectConnection.drop_held", 'self._held = ""'): "only its truth is read, and the next message replaces it",
}
