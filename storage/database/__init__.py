"""One bounded database handle that hides the vendor, and the engines below it.

Imported by storage, and opened by the composition.
"""
