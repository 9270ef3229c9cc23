"""The five documents that the system was asked for, byte for byte, and a reader of the code in them."""
