from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # people talk while it is built

    dependencies = [("agents", "0018_async_units")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="is_abandoned",
            field=models.BooleanField(
                help_text="Whether the person left without what they came for, when it ended.",
                null=True,
            ),
        ),
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
