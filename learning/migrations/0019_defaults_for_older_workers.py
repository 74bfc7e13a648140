import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0018_work_items_kept'),
    ]

    operations = [
        migrations.AlterField(
            model_name='cycle',
            name='mail_error',
            field=models.CharField(blank=True, db_default='', default='', help_text='Why the mail server took none of them.', max_length=80),
        ),
        migrations.AlterField(
            model_name='improvement',
            name='work_item',
            field=models.JSONField(blank=True, db_default={}, default=dict, help_text='What the issue tracker made of it: id, url, at.'),
        ),
        migrations.AlterField(
            model_name='patterncount',
            name='feedback_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), db_default=[], default=list, help_text='The newest of them.', size=None),
        ),
    ]
