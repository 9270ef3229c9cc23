"""What is sent of files: kept in memory, compressed, large ones in slices."""
