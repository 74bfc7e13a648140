import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Alerts of agents follow from that of their endpoint. The index is empty when it is built."""

    dependencies = [("monitoring", "0012_traces_asked")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="inhibited_by",
            field=models.ForeignKey(
                blank=True, db_index=False, null=True, related_name="+",
                help_text="The alert that it follows from; it is not told of itself.",
                on_delete=django.db.models.deletion.SET_NULL, to="monitoring.alert",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="let_go_at",
            field=models.DateTimeField(
                null=True,
                help_text="Since when it follows from no other: only what came later is judged.",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["-let_go_at"], condition=models.Q(("let_go_at__isnull", False)),
                name="alert_let_go",
            ),
        ),
    ]
