"""What a version of a workflow says cannot be rewritten: runs of years ago were made by it."""

from django.db import migrations

IMMUTABLE = """
CREATE FUNCTION workflows_keep_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.workflow_id, OLD.number, OLD.digest, OLD.source, OLD.definition)
        IS DISTINCT FROM
        (NEW.id, NEW.workflow_id, NEW.number, NEW.digest, NEW.source, NEW.definition) THEN
        RAISE EXCEPTION 'a version of a workflow is immutable: publish another one'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER version_immutable BEFORE UPDATE ON workflows_workflowversion
    FOR EACH ROW EXECUTE FUNCTION workflows_keep_version();
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0007_run_lineage_and_turns")]

    operations = [
        migrations.RunSQL(
            IMMUTABLE,
            "DROP TRIGGER version_immutable ON workflows_workflowversion;"
            "DROP FUNCTION workflows_keep_version();",
        )
    ]
