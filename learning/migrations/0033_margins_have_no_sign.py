from django.db import migrations


def take_signs(apps, schema_editor):
    """A negative margin counted by its size and is refused now: what is stored keeps counting."""
    for name in ("Experiment", "Rollout", "TrialPolicy"):
        for row in apps.get_model("learning", name).objects.only("metrics").iterator():
            metrics = [_unsigned(one) for one in row.metrics]
            if metrics != row.metrics:
                row.metrics = metrics
                row.save(update_fields=["metrics"])


def _unsigned(metric):
    margin = metric.get("margin") if isinstance(metric, dict) else None
    if isinstance(margin, (int, float)) and margin < 0:
        return {**metric, "margin": -margin}
    return metric


class Migration(migrations.Migration):
    dependencies = [("learning", "0032_lists_of_comparisons")]

    operations = [migrations.RunPython(take_signs, migrations.RunPython.noop)]
