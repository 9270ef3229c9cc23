"""`chat-gateway up`: one command that starts everything on this machine, and leaves nothing behind."""
