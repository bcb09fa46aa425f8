"""Which network addresses a tenant may make this server connect to."""

import functools
import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EMBEDDING = ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96")
"""IPv4 addresses written as IPv6 ones, beyond those of the list below: NAT64, 6to4 and Teredo."""
_IN_THE_END = tuple(map(ipaddress.IPv6Network, (*_EMBEDDING, "64:ff9b::/96", "64:ff9b:1::/48")))
"""Networks whose addresses end with an IPv4 address."""


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
        clouds' own addresses, and the registries that Python knows. An IPv6 address of a listed
        network that leads to an IPv4 address needs that to be permitted too.
        """
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return False
        if any(address in network for network in self._allowed):
            inner = _embedded(address)
            return inner is None or self.permits(str(inner))
        if any(address in network for network in _refused()):
            return False
        return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if any."""
    if address.version == 4 or address.is_loopback or address.is_unspecified:
        return None
    if any(address in network for network in _IN_THE_END):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or (address.teredo[1] if address.teredo else None)
