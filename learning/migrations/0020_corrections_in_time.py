from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # feedback is stored while it is built

    dependencies = [
        ('learning', '0019_defaults_for_older_workers'),
    ]

    operations = [
        AddLiveIndex(
            model_name='feedback',
            index=models.Index(condition=models.Q(('kind', 'correction')), fields=['-created_at', '-id'], name='feedback_corrections'),
        ),
    ]
