"""What the auth service stores: accounts, second factors, logins, one-use tokens and keys, one table per file."""
