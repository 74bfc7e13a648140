from django.db import migrations

from config.partitions import owner_functions_sql


class Migration(migrations.Migration):
    """The application's role prepares months of the audit log, and can no longer drop one."""

    dependencies = [("monitoring", "0014_alerts_that_follow")]

    operations = [
        migrations.RunSQL(
            owner_functions_sql(
                "monitoring",
                ["monitoring_measurement", "monitoring_securityevent"],
                kept=["monitoring_auditentry"],
            ),
            migrations.RunSQL.noop,
        ),
    ]
