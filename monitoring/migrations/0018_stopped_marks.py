"""Marks say when a person took an agent out of service."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0017_burning_values")]

    operations = [
        migrations.AlterField(
            model_name="mark",
            name="kind",
            field=models.CharField(
                choices=[
                    ("deployment", "Deployment"),
                    ("experiment", "Experiment"),
                    ("rollback", "Rollback"),
                    ("stopped", "taken out of service by a person"),
                ],
                max_length=12,
            ),
        ),
    ]
