from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0019_abandoned_conversations'),
    ]

    operations = [
        migrations.AddField(
            model_name='asynccall',
            name='due_at',
            field=models.DateTimeField(null=True),
        ),
    ]
