"""A chat over HTTP: the chat itself, its members, who is connected, and what a user does in it besides writing."""
