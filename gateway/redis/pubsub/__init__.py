"""SUBSCRIBE and PUBLISH on one server, and the broker made of them."""
