"""Outgoing HTTP to addresses that tenants name: checked, pinned and bounded.

Nothing else in the server connects to an address that a tenant wrote down.
"""
