"""From a stored event to every socket of this node, in order and once.

Imported by node, sessions, endpoints and api.
"""
