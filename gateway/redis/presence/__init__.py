"""Seats and leases in Redis, the sweeper and the reconciler, with their Lua scripts."""
