"""What RQ workers do: entry points of a few lines, each calling a service."""
