"""Burn rates of single values: from where on one is bad."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0016_tuned_rules")]

    operations = [
        migrations.AddField(
            model_name="alertrule",
            name="event_limit",
            field=models.FloatField(
                blank=True,
                null=True,
                help_text=(
                    "Burn rate of single values: one beyond it is bad; else the objective's target."
                ),
            ),
        ),
        migrations.AlterField(
            model_name="alertrule",
            name="objective",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text=(
                    "Burn rate: the objective that is promised; what was set here stands."
                ),
                max_length=60,
            ),
        ),
    ]
