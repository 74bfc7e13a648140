from django.db import migrations

# A window of many keys is read whole and at once. Compressed, each row would first be unpacked,
# which takes longer than all else that is done with it; a sketch in base64 hardly shrinks anyway.
# It needs no lock that keeps anybody waiting, and holds for rows from now on.
PLAIN = "ALTER TABLE monitoring_rollup SET (toast_tuple_target = 8160)"
AS_BEFORE = "ALTER TABLE monitoring_rollup RESET (toast_tuple_target)"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0018_stopped_marks")]

    operations = [migrations.RunSQL(PLAIN, AS_BEFORE)]
