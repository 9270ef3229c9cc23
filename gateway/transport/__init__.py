"""The bytes of a socket: uvicorn's HTTP and WebSocket protocol classes, and the parts of RFC 6455 below them.

uvicorn loads the two classes by name; nothing else imports this folder."""
