from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may do what for whom: users, clients, memberships, keys, invitations, audiences."""

    name = "config.access"
    label = "access"
    verbose_name = "Access"
