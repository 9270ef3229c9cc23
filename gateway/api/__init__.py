"""The HTTP API, one resource a file; each has a class that takes its collaborators and returns its routes.

Imported by app, and by asyncapi for the schemas."""
