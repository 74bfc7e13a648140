"""Every tool that is called here is held to what it says it gives."""

from tests.agents.honest import _tools_give_what_they_say

__all__ = ["_tools_give_what_they_say"]
