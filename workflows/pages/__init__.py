"""Pages of workflows: runs, one run, its steps, approvals, and the library of definitions."""
