"""A conversation keeps what it was limited to, so that it stays so when its calls have gone."""

import django.contrib.postgres.fields
from django.db import migrations, models

FILL = """
    UPDATE agents_conversation c SET limited_to = found.lines FROM (
        SELECT conversation_id, array_agg(DISTINCT line ORDER BY line) AS lines
        FROM agents_invocation, unnest(limited_to) AS line
        WHERE conversation_id IS NOT NULL AND limited_to IS NOT NULL GROUP BY conversation_id
    ) found WHERE found.conversation_id = c.id
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0025_limited_documents")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="limited_to",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(),
                blank=True,
                help_text="What its reader must hold, where an answer in it quoted documents that "
                "are limited. Kept longer than the calls.",
                null=True,
                size=None,
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
