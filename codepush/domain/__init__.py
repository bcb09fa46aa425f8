"""The rules, without web and store: pure functions over immutable values."""
