from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0012_history_seals")]

    operations = [
        migrations.CreateModel(
            name="Lane",
            fields=[
                ("name", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("asked_at", models.DateTimeField(help_text="When the latest scout was sent.")),
                (
                    "passed_at",
                    models.DateTimeField(help_text="When the latest that arrived had been sent."),
                ),
            ],
        ),
    ]
