"""Which network addresses a tenant may make this server connect to."""

import functools
import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EMBEDDING = ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96")
"""Beyond that list: IPv4 addresses written as IPv6 ones; NAT64, 6to4 and Teredo are on it."""


@functools.cache
def _refused() -> tuple[Network, ...]:
    from AntiSSRF import IPAddressRanges  # here: it imports requests, which takes a while

    ranges = (*IPAddressRanges.recommended_latest, *_EMBEDDING)
    return tuple(ipaddress.ip_network(each) for each in ranges)


class AddressRules:
    """Lets public addresses through, and the networks that the operator lists."""

    def __init__(self, allowed: Iterable[Network] = ()):
        """Let ``allowed`` through beyond what is public."""
        self._allowed = tuple(allowed)

    def permits(self, text: str) -> bool:
        """Return whether an address in text may be connected to.

        Two judges must agree that it is public: Microsoft's list of ranges, which is kept up with
        clouds' own addresses, and the registries that Python knows.
        """
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return False
        if any(address in network for network in self._allowed):
            return True
        if any(address in network for network in _refused()):
            return False
        return address.is_global and not address.is_multicast and not address.is_reserved
