"""The truth: accounts, keys, chats, memberships and the log of every chat, in PostgreSQL or SQLite."""
