"""What a node does by itself from time to time: names in memory, erasures, retention."""
