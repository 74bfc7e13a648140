import config.access.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0023_let_go_live'),
    ]

    operations = [
        migrations.CreateModel(
            name='StageSums',
            fields=[
                ('id', models.UUIDField(default=config.access.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('owner_id', models.UUIDField(help_text='The experiment or rollout.')),
                ('stage', models.CharField(max_length=20)),
                ('digest', models.CharField(help_text='Of what was added up, and how.', max_length=64)),
                ('recorded_before', models.DateTimeField(help_text='Of calls, feedback and scores.')),
                ('came_before', models.DateTimeField(help_text='Of units: when their first call began.')),
                ('incidents', models.JSONField(default=list, help_text='[since, until) of those by then.')),
                ('cells', models.JSONField(default=list, help_text='stage, arm, day, units, statistics.')),
                ('number', models.PositiveIntegerField(default=1, help_text='Of its writes.')),
            ],
            options={
                'ordering': ['owner_id', 'stage'],
                'constraints': [models.UniqueConstraint(fields=('owner_id', 'stage'), name='stagesums_once')],
            },
        ),
    ]
