from django.db import migrations


class Migration(migrations.Migration):
    """Leave room beside a step's row: every step is updated at least twice."""

    dependencies = [("workflows", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE workflows_steprun SET (fillfactor = 70, "
            "autovacuum_vacuum_scale_factor = 0.05)",
            "ALTER TABLE workflows_steprun RESET (fillfactor, autovacuum_vacuum_scale_factor)",
        )
    ]
