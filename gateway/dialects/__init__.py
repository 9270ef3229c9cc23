"""One URL family's JSON format per file: pure functions between bytes and the types of `gateway.protocol`."""
