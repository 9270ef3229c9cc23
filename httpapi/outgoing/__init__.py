"""Requests that the services send, to URLs of the operator."""
