"""Use cases. Every dialect calls these, and none has rules of its own."""
