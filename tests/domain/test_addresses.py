import pytest

from codepush.domain.addresses import UNKNOWN, client_network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:51234", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.7]:443", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", UNKNOWN),
        ("localhost", UNKNOWN),
        ("192.0.2.7, 192.0.2.8", UNKNOWN),
        ("192.0.2.999", UNKNOWN),
        ("1" * 10_000, UNKNOWN),
    ],
)
def test_an_address_belongs_to_itself_or_to_its_64(address: str, network: str) -> None:
    assert client_network(address) == network
