from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # steps are done while it is built

    dependencies = [("workflows", "0014_pins_and_roots")]

    operations = [
        AddLiveIndex(
            model_name="steprun",
            index=models.Index(
                condition=models.Q(("state", "dead")), fields=["id"], name="step_dead"
            ),
        ),
    ]
