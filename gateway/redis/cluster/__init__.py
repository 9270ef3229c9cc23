"""Commands and pub/sub over a Redis Cluster: slots, masters, redirections."""
