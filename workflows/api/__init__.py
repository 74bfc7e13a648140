"""The HTTP API of workflows: doors that only call services."""
