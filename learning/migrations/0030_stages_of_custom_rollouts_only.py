from django.db import migrations

# Stages beside a shipped strategy had been kept and never read; now they are refused.
POLICIES = """
    UPDATE learning_trialpolicy SET stages = '[]' WHERE strategy <> 'custom' AND stages <> '[]'
"""
PLANS = """
    UPDATE learning_experiment SET rollout_plan = jsonb_set(rollout_plan, '{stages}', 'null')
    WHERE rollout_plan ->> 'strategy' <> 'custom' AND rollout_plan ? 'stages'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("learning", "0029_sums_with_caps"),
    ]

    operations = [
        migrations.RunSQL(POLICIES, migrations.RunSQL.noop),
        migrations.RunSQL(PLANS, migrations.RunSQL.noop),
    ]
