"""Network addresses, as quotas count them."""

import ipaddress
import re

UNKNOWN = "unknown"
"""What all clients share whose address cannot be told."""

_IPV6_PREFIX = 64
"""A subscriber gets at least a /64, so an address of it says nothing about who they are."""

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%]+)\](?::\d+)?|([0-9.]+):\d+")


def client_network(address: str) -> str:
    """Return whom an address belongs to: itself in IPv4, its /64 in IPv6.

    Args:
        address: As the connection or a trusted proxy names it; some proxies add a port.
    """
    with_port = _WITH_PORT.fullmatch(address)
    if with_port:
        address = with_port[1] or with_port[2]
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
