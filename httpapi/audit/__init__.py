"""The audit log of both services: which requests are recorded, and how they get into the log and the database."""
