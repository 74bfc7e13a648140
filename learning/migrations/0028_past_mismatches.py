from django.db import migrations, models
from django.db.models.functions import Now


def mark_resumed(apps, schema_editor):
    """Whoever went on with one whose mismatch lasts is not overruled by the upgrade."""
    rows = apps.get_model("learning", "Experiment").objects
    rows.filter(
        state="running", state_reason__startswith="resumed", analysis__sample_ratio__lasts=True
    ).update(is_past_mismatch=True)


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0027_policies_and_maturity'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='is_past_mismatch',
            field=models.BooleanField(db_default=False, default=False, help_text='A person went on with it in spite of its sample ratio mismatch.'),
        ),
        migrations.AddField(
            model_name='stagesums',
            name='made_at',
            field=models.DateTimeField(db_default=Now(), help_text='When all of it was last added up.'),
        ),
        migrations.RunPython(mark_resumed, migrations.RunPython.noop),
    ]
