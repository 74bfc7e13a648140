from django.db import migrations, models
from django.db.models import Q

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # runs go on while they are built

    dependencies = [("workflows", "0009_step_undoing")]

    operations = [
        AddLiveIndex(
            model_name="run",
            index=models.Index(
                condition=Q(("ended_at__isnull", False)),
                fields=["-ended_at", "-id"],
                name="run_ended",
            ),
        ),
        AddLiveIndex(
            model_name="steprun",
            index=models.Index(
                condition=Q(("attempt__gt", 1)), fields=["run", "id"], name="step_tried_again"
            ),
        ),
        AddLiveIndex(
            model_name="steprun",
            index=models.Index(
                condition=Q(("iteration__gt", 1)), fields=["run", "id"], name="step_turned"
            ),
        ),
        AddLiveIndex(
            model_name="runevent",
            index=models.Index(
                condition=Q(("name", "run.retried")),
                fields=["-at", "-id"],
                name="runevent_retried",
            ),
        ),
        AddLiveIndex(
            model_name="approval",
            index=models.Index(
                condition=Q(("decided_at__isnull", False)),
                fields=["-decided_at", "-id"],
                name="approval_answered",
            ),
        ),
    ]
