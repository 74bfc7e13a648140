"""Tie what judges and replays were asked before to the runs that it is about."""

from django.db import migrations

# Through the index on calls by run: what a replay or a judge asks has its id as the run.
REPLAYED = """
UPDATE agents_invocation asked SET about_run_id = recorded.run_id
FROM learning_replaycase one JOIN agents_invocation recorded ON recorded.id = one.recorded_id
WHERE asked.run_id = one.replay_id AND recorded.run_id IS NOT NULL
AND starts_with(asked.effect_id, concat('replay/', one.replay_id, '/', left(one.key, 32), '/'))
"""
# A grade names the answer; a pair names the answer and its correction, in either order.
JUDGED = """
UPDATE agents_invocation asked SET about_run_id = recorded.run_id
FROM learning_judge judge, agents_invocation recorded
WHERE asked.run_id = judge.id AND recorded.run_id IS NOT NULL
AND recorded.id IN (
    substring(asked.effect_id from '/(?:grade|pair)/([0-9a-f-]{36})')::uuid,
    substring(asked.effect_id from '/pair/[0-9a-f-]{36}/([0-9a-f-]{36})$')::uuid
)
"""
# What guardrails held back of these calls, and the tools that they used, are hidden with them.
ALONG = """
UPDATE {table} kept SET about_run_id = asked.about_run_id FROM agents_invocation asked
WHERE kept.invocation_id = asked.id AND asked.about_run_id IS NOT NULL
AND asked.run_id IN (SELECT id FROM learning_replay UNION SELECT id FROM learning_judge)
"""


def tie(apps, schema_editor):
    for statement in (REPLAYED, JUDGED, *(
        ALONG.format(table=table) for table in ("agents_toolcall", "agents_review")
    )):
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0010_reasons_quote_nothing'),
        ('agents', '0017_about_run'),
    ]

    operations = [migrations.RunPython(tie, migrations.RunPython.noop)]
