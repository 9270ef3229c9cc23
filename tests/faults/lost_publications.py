"""A node of the rig that loses publications, as Redis may, which promises no delivery. The product knows nothing of it:
the node's runner patches it in."""

import signal

from gateway.node.node import Node
from gateway.protocol.publications import Publication
from storage.records import ChatEvent


class LostPublications:
    """SIGUSR2 begins and ends it: meanwhile every second event that this node stores in a chat is not published."""

    def __init__(self) -> None:
        self._is_on = False
        self._lost_last: set[int] = set()
        """Chats whose latest event was lost: the next one is published, and shows that one is missing."""

    def install(self) -> None:
        """Obey from now on."""
        signal.signal(signal.SIGUSR2, lambda *_: self._switch())
        publish = Node._publish

        def lossy_publish(node: Node, publication: Publication) -> None:
            if not (isinstance(publication, ChatEvent) and self._is_on and self._loses(publication.chat_id)):
                publish(node, publication)

        Node._publish = lossy_publish  # type: ignore[method-assign, assignment]

    def _switch(self) -> None:
        self._is_on = not self._is_on

    def _loses(self, chat_id: int) -> bool:
        self._lost_last ^= {chat_id}
        return chat_id in self._lost_last
