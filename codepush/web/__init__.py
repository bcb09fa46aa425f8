"""HTTP plumbing that every dialect shares."""
