"""The message log: group commit, pipelines, reads. Opened by the composition."""
