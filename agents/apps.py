from typing import Any

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        """Let the registry find tools of configured sources, and the guardrails a model of names;
        their code waits until then."""
        from agents import naming
        from agents.domain.guardrails.pii import modelled
        from agents.tools import registry

        registry.add_finder(_find)
        modelled.use(naming.names_in)


def _find(name: str) -> Any:
    if not name.startswith(("mcp.", "data.")):
        return None
    from agents.tools.remote import finding

    return finding.find(name)
