"""Events out: from the outbox to webhooks, and to the other endpoints that `gateway.interfaces.outbox` allows."""
