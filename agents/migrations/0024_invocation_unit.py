from django.db import migrations, models

from config.partitions import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False  # calls are stored while it is built

    dependencies = [
        ('agents', '0023_route'),
    ]

    operations = [
        AddPartitionedIndex(
            model_name='invocation',
            index=models.Index(condition=models.Q(('split_epoch__isnull', False)), fields=['agent_id', 'unit'], name='invocation_unit'),
        ),
    ]
