"""OpenTelemetry traces of a node: handshakes, HTTP requests, commands, commits, publications, deliveries, webhooks.

Nothing here is on a path while tracing is off: `composition` and `app` put these objects around the others only if
TRACES_PER_S is set, and only then is the library imported. What a client can cause is bounded: traces begin at a
limited rate, what is under way is kept in tables of limited size, and the exporter's queue drops what it cannot send.
"""
