"""From a request to its caller: credentials, origin, token or ticket, user.

Imported by endpoints, api and middleware.
"""
