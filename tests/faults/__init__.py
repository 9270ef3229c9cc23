"""The fault rig: real processes, injected faults under load, and a checker of what clients saw (docs/delivery.md)."""
