"""Encryption of what the database must not show: private signing keys, and the secrets of logins."""
