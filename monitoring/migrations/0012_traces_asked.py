import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    """Which endpoints and models a trace from elsewhere asked, so that figures by them lead to it."""

    dependencies = [
        ("monitoring", "0011_resolved_alerts"),
    ]

    operations = [
        migrations.AddField(
            model_name="externaltrace",
            name="asked",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80), db_default=[], default=list,
                help_text="The endpoints and models that it asked, as figures call them.", size=None,
            ),
        ),
        migrations.AddIndex(
            model_name="externaltrace",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["asked"], name="externaltrace_asked"
            ),
        ),
    ]
