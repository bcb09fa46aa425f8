"""The seed API at ``/api/v1``: the dialect of this server's own reference.

Requests and answers are JSON, and errors one envelope. ``blueprint.py`` turns a view and its
schemas into a route and its page of the OpenAPI document, so neither can be without the other.
"""
