"""``python -m agents.offline_model``: serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

import uvicorn
import yaml

from agents.offline_model.connection import BreakableProtocol
from agents.offline_model.profile import ProfileSource
from agents.offline_model.server import OfflineModel
from agents.offline_model.truth import read_truth
from config.errors import InvalidDocument

# Open replies get so long to finish when the server stops.
STOP_SECONDS = 2
BACKLOG = 1024


def main(arguments: list[str] | None = None) -> int:
    """Serve; the exit code is 2 for a bad profile and 1 for an address that can't be had."""
    options = _options(arguments)
    try:
        truth = read_truth(options.scenario, options.seed) if options.scenario else None
        profile = ProfileSource(options.profile, truth.profile() if truth else None)
    except (OSError, yaml.YAMLError, InvalidDocument) as error:
        name = options.scenario or options.profile
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        sys.stderr.write(f"{options.host}:{options.port}: {error.strerror or error}\n")
        return 1
    model = OfflineModel(
        seed=options.seed, profile=profile, state_dir=options.state_dir, truth=truth
    )
    config = uvicorn.Config(
        model.app(),
        http=BreakableProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"offline model at http://{host}:{port}/v1\n")
    sys.stdout.flush()
    # uvicorn raises the signal again once it has stopped: a wanted stop is not a failure.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 lets the system choose. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening before the address is told: whoever reads it may connect at once.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents.offline_model", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    behaviour = parser.add_mutually_exclusive_group()
    behaviour.add_argument("--profile", type=Path, help="behaviour profile (YAML)")
    behaviour.add_argument("--scenario", type=Path, help="a simulation whose truth it acts out")
    parser.add_argument("--seed", type=int, default=0, help="decides every draw")
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(".ratchet/offline-model"),
        help="where files, batches and fine-tuning jobs are kept",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
