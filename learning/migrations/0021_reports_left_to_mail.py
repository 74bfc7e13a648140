import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0020_corrections_in_time'),
    ]

    operations = [
        migrations.AddField(
            model_name='cycle',
            name='mail_left',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, db_default=[], default=list, help_text='People whom it has to be mailed to yet; empty after none: all.', size=None),
        ),
        migrations.AlterField(
            model_name='cycle',
            name='mail_error',
            field=models.CharField(blank=True, db_default='', default='', help_text='Why the mail server did not take all of them yet.', max_length=80),
        ),
    ]
