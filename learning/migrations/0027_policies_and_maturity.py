import django.core.validators
from django.db import migrations, models


def mark_by_policy(apps, schema_editor):
    rows = apps.get_model("learning", "Improvement").objects
    rows.filter(decision_reason__startswith="by the policy for", decided_by=None).update(
        is_by_policy=True
    )


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0026_holdouts_are_read'),
    ]

    operations = [
        migrations.AddField(
            model_name='improvement',
            name='is_by_policy',
            field=models.BooleanField(db_default=False, default=False, help_text='Approved by a trial policy, no person.'),
        ),
        migrations.AddField(
            model_name='trialpolicy',
            name='maturity_hours',
            field=models.FloatField(db_default=0.0, default=0.0, help_text='Age at which a unit counts, so that late feedback is in.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(2160)]),
        ),
        migrations.RunPython(mark_by_policy, migrations.RunPython.noop),
    ]
