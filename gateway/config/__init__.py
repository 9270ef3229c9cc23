"""Every setting, the sources of its value, and the parsers. Imports nothing else of the gateway."""
