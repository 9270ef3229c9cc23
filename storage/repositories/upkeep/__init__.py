"""Work in the background that one node at a time does, by a claim: old messages and erased users."""
