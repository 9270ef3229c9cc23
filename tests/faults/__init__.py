"""The fault rig: real processes, broken on purpose under load, and a checker of what clients saw (docs/delivery.md)."""
