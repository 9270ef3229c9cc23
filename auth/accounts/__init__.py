"""Registration, login, password hashing and login limits. Imported by auth only, and by gateway.auth_mount."""
