"""Which runs use a file, so that a file is hidden with the runs that are."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What can be known of files stored before: those that inputs or results name at the top level,
# and whole inputs and outputs that were too large for a row. One statement, which names each pair
# once: the constraint is made at the migration's end, so there is no conflict to do nothing on.
KNOWN = """
INSERT INTO workflows_artifactuse (artifact_id, run_id)
SELECT a.id, r.id FROM workflows_run r
CROSS JOIN LATERAL jsonb_each_text(
    CASE WHEN jsonb_typeof(r.inputs) = 'object' THEN r.inputs ELSE '{}' END) AS given(name, value)
JOIN workflows_artifact a ON a.client_id = r.client_id AND a.id::text = given.value
UNION
SELECT a.id, r.id FROM workflows_steprun s JOIN workflows_run r ON r.id = s.run_id
CROSS JOIN LATERAL (VALUES (s.input), (s.output)) AS part(value)
CROSS JOIN LATERAL jsonb_each_text(
    CASE WHEN jsonb_typeof(part.value) = 'object' THEN part.value ELSE '{}' END) AS named(name, value)
JOIN workflows_artifact a ON a.client_id = r.client_id AND a.id::text = named.value;
"""


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("workflows", "0005_workflow_splits"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArtifactUse",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("artifact", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="uses", to="workflows.artifact")),
                ("run", models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name="files", to="workflows.run")),
                ("user", models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("artifact", "run", "user"), name="artifactuse_once", nulls_distinct=False)
                ],
            },
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
    ]
