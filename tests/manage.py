"""``manage.py`` in a copy of the warm process; the first argument is the file for its errors."""

import os
import runpy
import sys

if __name__ == "__main__":
    os.dup2(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    sys.argv[0] = "manage.py"
    runpy.run_path("manage.py", run_name="__main__")
