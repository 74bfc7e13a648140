"""The HTTP API of agents: doors that only call services."""
