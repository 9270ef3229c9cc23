"""The use cases of one node over broker and hub (enter, publish, type, read, leave), and other nodes' publications.

Imported by sessions, endpoints and the composition."""
