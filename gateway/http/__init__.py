"""The HTTP API, a file a noun; each has a class that takes its collaborators and gives its routes."""
