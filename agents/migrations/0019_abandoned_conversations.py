from django.db import migrations, models


class Migration(migrations.Migration):
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
    ]
