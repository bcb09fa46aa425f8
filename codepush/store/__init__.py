"""The Redis data model. Stores return domain models, never raw replies."""
