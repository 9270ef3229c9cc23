"""The Protocols about users."""
