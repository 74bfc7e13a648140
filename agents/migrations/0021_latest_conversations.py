from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # people talk while they are built

    dependencies = [("agents", "0020_async_due")]

    operations = [
        AddLiveIndex(
            model_name="conversation",
            index=models.Index(fields=["-last_turn_at", "-id"], name="conversation_latest"),
        ),
        AddLiveIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("handed_over_at__isnull", False)),
                fields=["-handed_over_at", "-id"],
                name="conversation_handed_over",
            ),
        ),
        AddLiveIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("is_abandoned", True)),
                fields=["-last_turn_at", "-id"],
                name="conversation_abandoned",
            ),
        ),
    ]
