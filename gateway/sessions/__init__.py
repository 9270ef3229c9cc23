"""The state over one socket, one kind per file: commands in, replies and pushes out.

Imported by endpoints and the composition.
"""
