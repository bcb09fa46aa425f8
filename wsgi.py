"""The target of gunicorn and of every other WSGI server."""

from codepush.app import create_app

app = create_app()
