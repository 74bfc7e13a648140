import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models

# TRUNCATE has no trigger: the test suite empties tables with it.
APPEND_ONLY = """
CREATE TRIGGER historyseal_append_only BEFORE UPDATE OR DELETE ON workflows_historyseal
    FOR EACH ROW EXECUTE FUNCTION monitoring_refuse_rewrite();
"""


class Migration(migrations.Migration):
    """Two small tables of their own; workers of before do not know them."""

    dependencies = [
        ("monitoring", "0002_audit"),
        ('workflows', '0011_failed_steps_in_time'),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoryMark',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('seen_event', models.BigIntegerField(default=0)),
                ('seen_xmax', models.BigIntegerField(default=0)),
                ('settled_event', models.BigIntegerField(default=0)),
                ('ends_until', models.DateTimeField(help_text='Runs that ended before were looked after.', null=True)),
            ],
        ),
        migrations.CreateModel(
            name='HistorySeal',
            fields=[
                ('number', models.BigIntegerField(help_text='From 1, without gaps.', primary_key=True, serialize=False)),
                ('event_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='Ascending, above the seal before.', size=None)),
                ('salt', models.BinaryField(help_text='In each digest of an actor or a detail.')),
                ('digests', models.BinaryField()),
                ('sealed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RunSQL(
            APPEND_ONLY, "DROP TRIGGER historyseal_append_only ON workflows_historyseal"
        ),
    ]
