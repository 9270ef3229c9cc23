"""Load tests with Locust: simulated users that chat and check what they receive. Not part of the product."""
