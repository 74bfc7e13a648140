"""Empty the reasons that quoted questions and answers."""

from django.db import migrations


def empty(apps, schema_editor):
    scores = apps.get_model("learning", "Score").objects
    scores.filter(source="code", source_version="checks-1").exclude(reason="").update(reason="")
    own = r"^ratchet-[0-9a-f]{10}$"
    scores.filter(source="judge", source_version__regex=own).exclude(reason="").update(reason="")
    preferences = apps.get_model("learning", "Preference").objects
    preferences.filter(source_version__regex=own).exclude(reason="").update(reason="")


class Migration(migrations.Migration):

    dependencies = [
        ('learning', '0009_judges_asked'),
    ]

    operations = [migrations.RunPython(empty, migrations.RunPython.noop)]
