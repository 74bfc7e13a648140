from django.db import migrations, models
from django.db.models import Q

from config.indexes import AddLiveIndex

# What was said of a workflow's runs, and what of it counts no more.
KINDS = {
    "of_runs": ("id", Q(subject_kind="run")),
    "of_runs_superseded": ("superseded_at", Q(subject_kind="run", superseded_at__isnull=False)),
}


class Migration(migrations.Migration):
    atomic = False  # feedback and scores are stored while they are built

    dependencies = [("learning", "0033_margins_have_no_sign")]

    operations = [
        AddLiveIndex(
            model_name=model,
            index=models.Index(fields=[field], condition=condition, name=f"{model}_{name}"),
        )
        for model in ("feedback", "score")
        for name, (field, condition) in KINDS.items()
    ]
