"""Where tenants may not lead the server: refused before a byte is sent."""

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest

from codepush.net.addresses import AddressRules
from codepush.net.client import Client, RefusedAddressError
from codepush.net.urls import UrlRules

BY_ADDRESS = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "168.63.129.16",  # Azure's wire server
    "169.254.0.1",
    "169.254.169.254",  # AWS, Azure, Google and others: metadata
    "169.254.170.2",  # credentials of ECS tasks
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle's metadata
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",  # IPv4-compatible
    "[::ffff:127.0.0.1]",  # IPv4-mapped
    "[::ffff:8.8.8.8]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:0:10.0.0.1]",  # IPv4-translated
    "[64:ff9b::7f00:1]",  # NAT64
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a00:1]",
    "[2001::1]",  # Teredo
    "[2001:db8::1]",
    "[2002:7f00:1::]",  # 6to4
    "[2002:a9fe:a9fe::]",
    "[fc00::1]",
    "[fd00:ec2::254]",  # AWS: metadata
    "[fd20:ce::254]",  # Google: metadata
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "[3fff::1]",
    "[5f00::1]",
]
"""Addresses as they are written in URLs."""

BY_SPELLING = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127.000.000.001/",
    "http://1.2.3.4.5/",
    "http://256.256.256.256/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://user:secret@example.com/",
    "http://@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com:0/",
    "http://example.com:70000/",
    "http://example.com:-1/",
    "http://example.com:http/",
    "http:///path",
    "http:example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "unix:///tmp/socket",
    "http://[::1/",
    "http://[v1.x]/",
    "http://exa mple.com/",
    "http://example.com/\r\nHost: internal",
    "http://exa%6dple.com/",
    "http://-.example.com/",
    "http://..example.com/",
    f"http://example.com/{'x' * 2_000}",
]
"""Spellings that some client reads otherwise than another."""

BY_NAME = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "mixed.example.com": ["93.184.215.14", "10.0.0.1"],
    "mixed-the-other-way.example.com": ["10.0.0.1", "93.184.215.14"],
    "six-is-private.example.com": ["93.184.215.14", "fd00::1"],
    "nat64.example.com": ["64:ff9b::a00:1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "scoped.example.com": ["fe80::1%eth0"],
    "nonsense.example.com": ["not an address"],
}
"""What names resolve to."""


class Wire:
    """Everything that is connected to."""

    def __init__(self) -> None:
        self.connected: list[object] = []
        self.resolved: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        return BY_NAME.get(host, [host])


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    found = Wire()
    connect = socket.create_connection

    def note(address: object, *args: object, **options: object) -> socket.socket:
        found.connected.append(address)
        return connect(address, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", note)
    return found


@pytest.fixture
def client(wire: Wire) -> Iterator[Client]:
    rules = AddressRules()
    made = Client(UrlRules(rules, allow_http=True), rules, resolve=wire.resolve)
    yield made
    made.close()


@pytest.mark.parametrize(
    "url",
    [
        *(f"http://{host}/" for host in BY_ADDRESS),
        *(f"http://{host}:8080/path?query" for host in BY_ADDRESS[:5]),
        *BY_SPELLING,
        *(f"http://{name}/" for name in BY_NAME),
        *(f"https://{name}/" for name in BY_NAME),
    ],
)
def test_an_address_that_is_not_public_is_refused_before_a_byte_is_sent(
    url: str, client: Client, wire: Wire
) -> None:
    with pytest.raises(RefusedAddressError):
        client.post(url, b"{}", {})
    assert wire.connected == []


@pytest.mark.parametrize("host", BY_ADDRESS)
def test_a_name_that_resolves_to_such_an_address_is_refused_too(host: str, wire: Wire) -> None:
    rules = AddressRules()
    address = host.strip("[]").replace("%25", "%")
    client = Client(UrlRules(rules, allow_http=True), rules, resolve=lambda _host, _port: [address])
    with pytest.raises(RefusedAddressError):
        client.post("http://rebound.example.com/", b"{}", {})
    assert wire.connected == []
    client.close()


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert AddressRules().permits(address)


def test_a_network_that_the_operator_lists_is_permitted_and_no_other() -> None:
    rules = AddressRules([ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00:1::/32")])
    assert rules.permits("10.1.2.3")
    assert rules.permits("fd00:1::5")
    assert not rules.permits("10.2.0.1")
    assert not rules.permits("fd00:2::5")
    assert not rules.permits("::ffff:10.1.2.3")
    assert not rules.permits("127.0.0.1")


@pytest.mark.parametrize(
    ("listed", "address", "is_permitted"),
    [
        ("64:ff9b::/96", "64:ff9b::808:808", True),
        ("64:ff9b::/96", "64:ff9b::a00:1", False),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::/96", "64:ff9b::a83f:8110", False),  # 168.63.129.16
        ("64:ff9b::/96,10.0.0.0/8", "64:ff9b::a00:1", True),
        ("64:ff9b:1::/96", "64:ff9b:1::7f00:1", False),
        ("64:ff9b:1::/96", "64:ff9b:1::808:808", True),
        ("::ffff:0:0/96", "::ffff:127.0.0.1", False),
        ("::ffff:0:0/96,127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("2002::/16", "2002:7f00:1::", False),
        ("2002::/16", "2002:808:808::1", True),
        ("2001::/32", "2001:0:808:808::f5ff:fffe", False),  # Teredo's 10.0.0.1, complemented
        ("2001::/32", "2001:0:808:808::f7f7:f7f7", True),
        ("::/0", "::ffff:10.0.0.1", False),
        ("::/0", "fd00::1", True),
        ("::1/128", "::1", True),
    ],
)
def test_a_listed_network_lets_no_private_address_through_inside_another(
    listed: str, address: str, is_permitted: bool
) -> None:
    rules = AddressRules(map(ipaddress.ip_network, listed.split(",")))
    assert rules.permits(address) is is_permitted


def test_http_is_refused_unless_it_is_allowed(wire: Wire) -> None:
    rules = AddressRules()
    client = Client(UrlRules(rules, allow_http=False), rules, resolve=wire.resolve)
    with pytest.raises(RefusedAddressError, match="https"):
        client.post("http://example.com/", b"{}", {})
    assert wire.resolved == []
    client.close()


def test_a_name_that_changes_between_check_and_connect_changes_nothing() -> None:
    """DNS rebinding: the second answer would be inside, but nobody asks twice."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_server(("127.0.0.2", port)) as second:
            second.setblocking(False)
            hosts: list[bytes] = []

            def serve() -> None:
                connection, _ = first.accept()
                with connection:
                    hosts.append(connection.recv(65_536))
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                    )

            thread = threading.Thread(target=serve)
            thread.start()
            rules = AddressRules([ipaddress.ip_network("127.0.0.1/32")])
            client = Client(
                UrlRules(rules, allow_http=True),
                rules,
                resolve=lambda _host, _port: next(answers),
            )
            url = f"http://rebinding.example.com:{port}/"
            assert client.post(url, b"{}", {}).status == 200
            thread.join()
            assert f"Host: rebinding.example.com:{port}".encode() in hosts[0]
            # The next connection resolves anew, and is refused.
            with pytest.raises(RefusedAddressError):
                client.post(url, b"{}", {})
            with pytest.raises(BlockingIOError):
                second.accept()
            client.close()
