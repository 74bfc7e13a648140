from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0021_reports_left_to_mail'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='paused_at',
            field=models.DateTimeField(blank=True, help_text='While it is paused.', null=True),
        ),
        migrations.AddField(
            model_name='experiment',
            name='paused_seconds',
            field=models.FloatField(db_default=0.0, default=0.0, help_text='Of its pauses that are over: no days of it.'),
        ),
        migrations.AddField(
            model_name='experiment',
            name='read_until',
            field=models.DateTimeField(blank=True, help_text='Of a test for one look, its declared end: units after it don\'t count.', null=True),
        ),
        # Since when those that rest do is not known: from now on it is no time of theirs.
        migrations.RunSQL(
            "UPDATE learning_experiment SET paused_at = now() WHERE state = 'paused'",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name='experiment',
            name='batches',
            field=models.JSONField(blank=True, default=list, help_text='Each change of shares: began_at, ranges, shares; and the arms that it stopped.'),
        ),
    ]
