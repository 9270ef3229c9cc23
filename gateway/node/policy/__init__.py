"""Who may do what: the table of operations, the rules about members of chats, revoked tokens and bans."""
