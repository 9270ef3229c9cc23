"""`chat-gateway up`: one command that starts everything on this machine, and leaves no processes behind."""
