"""Accounts, chats, members, rooms, identities and keys: one family of tables a file. Opened by the composition."""
