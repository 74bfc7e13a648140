"""A program that prints, as JSON, the names of the tasks that its process knows."""

import json

import django

if __name__ == "__main__":
    django.setup()
    from config.celery import app

    app.loader.import_default_modules()
    print(json.dumps(sorted(app.tasks)))
