from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0013_lanes")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="root_id",
            field=models.UUIDField(
                blank=True,
                help_text="The outermost of the runs that it lies inside of.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="pins",
            field=models.JSONField(
                blank=True,
                help_text="Version by name of the workflows inside, as when the outermost run was started.",
                null=True,
            ),
        ),
    ]
