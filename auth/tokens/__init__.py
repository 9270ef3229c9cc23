"""Signing and verification of tokens: our own JWTs, guest tokens and those of an external issuer, and their keys.

Imported by auth and by gateway.authentication."""
