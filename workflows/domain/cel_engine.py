"""The CEL library without its command line.

Importing ``cel`` also imports its interactive shell (typer, rich, prompt_toolkit): 0.3 s and
12 MB in every process. An empty module in its place is all that the package needs.
"""

from __future__ import annotations

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402  after the line above, which is the point of this module

Program = cel.Program
compile_source = cel.compile

__all__ = ["Program", "compile_source"]
