"""Who is online, over all nodes."""
