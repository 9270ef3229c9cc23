"""How the cost of each statement grows with the store."""
