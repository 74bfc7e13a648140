from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # alerts are judged while it is built

    dependencies = [("monitoring", "0010_together_and_clean_baselines")]

    operations = [
        AddLiveIndex(
            model_name="alert",
            index=models.Index(fields=["-resolved_at"], name="alert_resolved"),
        ),
    ]
