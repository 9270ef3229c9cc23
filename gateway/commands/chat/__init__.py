"""`chat-gateway chat`: people talk from their terminals, through a running system's public interfaces."""
