"""Changes of what an account logs in with. Imported by auth.api and auth.app."""
