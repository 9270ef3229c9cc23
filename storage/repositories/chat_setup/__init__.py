"""What a chat is beside its members and its log: key, title, data, rules; and the lock under which it changes."""
