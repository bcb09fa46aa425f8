import pytest
from hypothesis import given
from hypothesis import strategies as st

from codepush.domain.rollout import (
    bucket,
    code_units,
    compiled,
    is_early,
    is_selected,
    rollout_hash,
)
from tests.needed import lacking

# Observed on Microsoft's server: identifier, hash, bucket.
VECTORS = [
    ("u1-v1", 109558668, 68),
    ("u1-v2", 109558669, 69),
    ("u2-v1", 109588459, 59),
    ("undefined-v1", 1102976024, 24),
    ("8F5A6E8C-1F1B-4C0C-A5A2-0D0A7B1B3C4D-v1", 5559695196, 96),
    ("8F5A6E8C-1F1B-4C0C-A5A2-0D0A7B1B3C4D-v12", -3743108010, 10),
    ("d3b07384d113edec-v3", -3160311127, 27),
    ("-v1", 46952, 52),
    ("客户端-v1", -44389778, 78),
    ("😀-v7", -3018093781, 81),
]


@pytest.mark.parametrize(("identifier", "value", "expected"), VECTORS)
def test_hash_and_bucket_are_those_of_the_reference_server(
    identifier: str, value: int, expected: int
) -> None:
    assert rollout_hash(code_units(identifier)) == value
    client, _, label = identifier.rpartition("-")
    assert bucket(client, label) == expected


def test_a_quarter_of_many_devices_is_selected_exactly_as_on_the_reference_server() -> None:
    selected = sum(is_selected(f"user{n}", "v3", 25) for n in range(100_000))
    assert selected == 25_011


def test_a_device_without_an_id_waits_for_the_full_rollout() -> None:
    assert not is_selected("", "v1", 99)
    assert is_selected("", "v1", 100)


def as_on_the_reference_server(identifier: str) -> int:
    """Return the hash as JavaScript works it out, one code unit after the other."""
    units = identifier.encode("utf-16-le", "surrogatepass")
    value = 0
    for low, high in zip(units[::2], units[1::2], strict=True):
        shifted = (value << 5) & 0xFFFFFFFF
        value = (shifted ^ 0x80000000) - 0x80000000 - value + (low | high << 8)
    return value


def test_the_compiled_hash_is_there() -> None:
    if compiled is None:
        lacking("there was no C compiler when the server was installed")


@given(st.binary(max_size=300))
def test_the_compiled_hash_is_the_same(units: bytes) -> None:
    if compiled is not None:
        assert compiled.hash_bytes(units) == rollout_hash(units)


def test_the_compiled_hash_takes_bytes_only() -> None:
    if compiled is not None:
        with pytest.raises(TypeError):
            compiled.hash_bytes("text")  # type: ignore[arg-type]


@given(st.text(max_size=120) | st.text("0123456789abcdef-~", max_size=300))
def test_any_text_hashes_as_on_the_reference_server(identifier: str) -> None:
    assert rollout_hash(code_units(identifier)) == as_on_the_reference_server(identifier)


@given(st.text("0123456789abcdefXYZ.-~", min_size=1, max_size=80), st.integers(1, 99))
def test_bytes_and_text_of_a_device_are_in_the_same_bucket(device: str, rollout: int) -> None:
    assert is_early(f"{device}-v7".encode(), rollout) == is_selected(device, "v7", rollout)
