#!/usr/bin/env python
"""The command line of an installation."""

import os
import sys

from config import launch
from config.errors import AppError


def supervise(argv: list[str]) -> int:
    from config.supervisor import up

    return up.main(argv)


def main() -> None:
    """Run one command; an error that a user can act on is one line, not a stack trace."""
    launch.read_env_file()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        if sys.argv[1:2] == ["up"]:
            # Before Django: the supervisor needs none, and loading it takes two seconds.
            sys.exit(supervise(sys.argv[2:]))
        # A command's own words go to a person; what services log would drown them.
        os.environ.setdefault("LOG_LEVEL", "WARNING")
        with launch.services_for(sys.argv):
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
    except AppError as error:
        sys.exit(f"manage.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from config.outages import has_no_tables, outage_of

        if has_no_tables(error):
            sys.exit("manage.py: this instance has no tables yet: start it once, `manage.py up`")
        if (outage := outage_of(error)) is None:
            raise
        sys.exit(f"manage.py: {outage}")


if __name__ == "__main__":
    main()
