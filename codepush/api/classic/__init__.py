"""The classic management dialect: what code-push-cli 2.x and the SDKs up to 3 speak.

Errors are sentences in plain text, since these clients print the raw body.
"""
