"""The commands of `chat-gateway`, one per file; each file adds its parser, and imports the rest when it runs."""
