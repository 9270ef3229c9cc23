"""The message log: group commit, reads. Opened by the composition."""
