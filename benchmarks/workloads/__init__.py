"""The workloads W1 to W6, the steps of one message, and the model that computes a cluster from their costs."""
