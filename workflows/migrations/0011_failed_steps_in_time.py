from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # steps are done while it is built

    dependencies = [("workflows", "0010_lists_behind_figures")]

    operations = [
        AddLiveIndex(
            model_name="steprun",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["ended_at"], name="step_failed"
            ),
        ),
    ]
