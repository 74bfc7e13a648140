from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # steps are done while it is built

    dependencies = [("workflows", "0008_version_immutable")]

    operations = [
        AddLiveIndex(
            model_name="steprun",
            index=models.Index(
                condition=models.Q(
                    ("kind", "compensate"), ("state__in", ["pending", "queued", "running"])
                ),
                fields=["run", "id"],
                name="step_undoing",
            ),
        ),
    ]
