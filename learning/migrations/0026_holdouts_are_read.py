from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0025_said_of_units'),
    ]

    operations = [
        migrations.AddField(
            model_name='holdout',
            name='analysis',
            field=models.JSONField(blank=True, db_default={}, default=dict, help_text='What it says, in words first.'),
        ),
        migrations.AddField(
            model_name='holdout',
            name='analysed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
