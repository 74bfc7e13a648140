"""Tools of others, found by name when they are needed: MCP servers and business systems.

They are ``mcp.<source>.<tool>`` and ``data.<source>``. What they bring is untrusted: it is
screened like every tool result, and only what an administrator listed may be called.
"""
