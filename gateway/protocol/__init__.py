"""Messages of clients and nodes as plain values, and their encoding between nodes. Any package may import it."""
