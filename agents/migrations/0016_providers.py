import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0015_trouble_index")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="provider",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Who runs it; empty: by its address. Those of one provider fail together.",
                max_length=64,
                validators=[django.core.validators.RegexValidator("^[a-z0-9:][a-z0-9.:_-]*\\Z")],
            ),
        ),
    ]
