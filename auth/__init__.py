"""The token service: accounts, password hashing, login, signing keys. The gateway imports `auth.tokens` only."""
