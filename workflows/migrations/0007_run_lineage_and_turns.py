"""What a run lies inside of and which family it is of; approvals that are asked once more."""

import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models

# Runs inside steps that are still there, and forks, from the outermost inwards.
KNOWN = """
WITH RECURSIVE links AS (
    SELECT c.id, c.version_id, s.run_id AS above, true AS inside
    FROM workflows_run c JOIN workflows_steprun s ON s.id = c.parent_step_id
    UNION ALL
    SELECT c.id, c.version_id, c.forked_from_id, false
    FROM workflows_run c WHERE c.parent_step_id IS NULL AND c.forked_from_id IS NOT NULL
), tree AS (
    SELECT r.id, r.version_id, r.id AS family, '{}'::uuid[] AS within FROM workflows_run r
    WHERE r.id IN (SELECT above FROM links) AND r.id NOT IN (SELECT id FROM links)
    UNION ALL
    SELECT l.id, l.version_id, t.family,
           CASE WHEN l.inside THEN t.within || t.version_id ELSE t.within END
    FROM links l JOIN tree t ON t.id = l.above
)
UPDATE workflows_run r SET family_id = t.family, within = t.within
FROM tree t WHERE t.id = r.id AND t.family <> t.id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0002_key_networks"),
        ("workflows", "0006_artifact_uses"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="approval", name="approval_once_per_level"),
        migrations.AddField(
            model_name="approval",
            name="turn",
            field=models.PositiveSmallIntegerField(default=1, help_text="Which time its step asks: a retried run asks again."),
        ),
        migrations.AddField(
            model_name="run",
            name="family_id",
            field=models.UUIDField(blank=True, help_text="The first of the runs inside one another and of their forks.", null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="within",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, default=list, help_text="Versions of the runs that it lies inside of, the outermost first.", size=None),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.UniqueConstraint(fields=("step", "turn", "level"), name="approval_once_per_level"),
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
    ]
