"""The Protocols that adapters implement: broker, presence, chat log, rate limits, tickets.

Only the composition knows what implements them; everything from delivery up imports these.
"""
