"""`chat-gateway doctor`: what is wrong with the settings, the servers and this machine, and what to do."""
