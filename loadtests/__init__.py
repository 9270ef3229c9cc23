"""Locust: people who chat, and what their ends of the wires saw. Nothing here is part of the product."""
