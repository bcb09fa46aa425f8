"""The management dialects, and what is neither for managers nor for devices."""
