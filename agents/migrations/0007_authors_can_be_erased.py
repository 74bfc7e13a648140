"""What a version answers with never changes; whose name it bears may be erased."""

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION agents_refuse_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(NEW) - '{{retired_at{more}}}'::text[])
        IS DISTINCT FROM (to_jsonb(OLD) - '{{retired_at{more}}}'::text[]) THEN
        RAISE EXCEPTION 'agent version % is immutable; publish a new one', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0006_tool_sources'),
    ]

    operations = [
        migrations.RunSQL(FUNCTION.format(more=",created_by"), FUNCTION.format(more="")),
    ]
