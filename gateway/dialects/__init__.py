"""One URL family's JSON format a file: pure functions between bytes and the words of `gateway.messages`."""
