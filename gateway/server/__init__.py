"""The process: listening sockets, startup, readiness, drain, logs. Imported by cli, composition, endpoints and api."""
