"""Auth's HTTP endpoints. Imported by auth.app and gateway.auth_mount."""
