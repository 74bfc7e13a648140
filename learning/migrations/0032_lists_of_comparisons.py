from django.db import migrations, models

from config.indexes import AddLiveIndex

# The lists of all, the newest first, by what they can be narrowed to.
NARROWED = {
    "experiment": {"client": "client_id", "agent": "agent_slug", "state": "state",
                   "verdict": "verdict"},
    "rollout": {"client": "client_id", "agent": "agent_slug", "state": "state"},
}  # fmt: skip


class Migration(migrations.Migration):
    atomic = False  # comparisons go on while they are built

    dependencies = [("learning", "0031_examples_of_conversations")]

    operations = [
        AddLiveIndex(
            model_name=model,
            index=models.Index(fields=[field, "-id"], name=f"{model}_{short}"),
        )
        for model, fields in NARROWED.items()
        for short, field in fields.items()
    ]
