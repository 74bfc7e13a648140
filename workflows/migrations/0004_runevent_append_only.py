"""What happened in a run, and when, cannot be rewritten; a person's name can be taken off it."""

from django.db import migrations

# TRUNCATE has no trigger: the test suite empties tables with it. ``actor`` and ``detail`` may
# change, because they can name a person whose data must be erased.
APPEND_ONLY = """
CREATE FUNCTION workflows_keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.id, OLD.run_id, OLD.step_id, OLD.key, OLD.item, OLD.attempt,
                             OLD.name, OLD.at, OLD.transaction)
        IS NOT DISTINCT FROM (NEW.id, NEW.run_id, NEW.step_id, NEW.key, NEW.item, NEW.attempt,
                              NEW.name, NEW.at, NEW.transaction) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the history of a run is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER runevent_append_only BEFORE UPDATE OR DELETE ON workflows_runevent
    FOR EACH ROW EXECUTE FUNCTION workflows_keep_history();
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0003_schedules_watches_notices_labels")]

    operations = [
        migrations.RunSQL(
            APPEND_ONLY,
            "DROP TRIGGER runevent_append_only ON workflows_runevent;"
            "DROP FUNCTION workflows_keep_history();",
        )
    ]
