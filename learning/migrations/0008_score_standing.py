from django.db import migrations, models

from config.indexes import AddLiveIndex


class Migration(migrations.Migration):
    atomic = False  # scores are stored while it is built

    dependencies = [
        ('learning', '0007_judges'),
    ]

    operations = [
        AddLiveIndex(
            model_name='score',
            index=models.Index(condition=models.Q(('superseded_at', None)), fields=['source', 'name', 'source_version'], name='score_standing'),
        ),
    ]
