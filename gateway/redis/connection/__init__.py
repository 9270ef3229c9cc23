"""Connections and pipelined commands to one Redis server. Only this package uses redis-py's connections."""
