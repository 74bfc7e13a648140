from django.db import migrations, models

from config.indexes import AddLiveIndex

SUPERSEDED = models.Q(('split_epoch__isnull', False), ('superseded_at__isnull', False))
IN_A_SPLIT = models.Q(('split_epoch__isnull', False))


class Migration(migrations.Migration):
    atomic = False  # feedback and scores are stored while they are built

    dependencies = [
        ('learning', '0024_stage_sums'),
    ]

    operations = [
        AddLiveIndex(
            model_name='feedback',
            index=models.Index(condition=IN_A_SPLIT, fields=['agent_slug', 'unit'], name='feedback_unit'),
        ),
        AddLiveIndex(
            model_name='feedback',
            index=models.Index(condition=SUPERSEDED, fields=['agent_slug', 'superseded_at'], name='feedback_superseded'),
        ),
        AddLiveIndex(
            model_name='score',
            index=models.Index(condition=IN_A_SPLIT, fields=['agent_slug', 'unit'], name='score_unit'),
        ),
        AddLiveIndex(
            model_name='score',
            index=models.Index(condition=SUPERSEDED, fields=['agent_slug', 'superseded_at'], name='score_superseded'),
        ),
    ]
