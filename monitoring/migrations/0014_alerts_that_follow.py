from django.db import migrations, models


class Migration(migrations.Migration):
    """An index of the few alerts that follow from another; it is empty when it is built."""

    dependencies = [("monitoring", "0013_alerts_inhibited")]

    operations = [
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["inhibited_by"], condition=models.Q(("inhibited_by__isnull", False)),
                name="alert_follows",
            ),
        ),
    ]
