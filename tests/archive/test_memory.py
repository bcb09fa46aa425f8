"""The gate needs little memory, whatever is uploaded. Measured in a process of its own."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.archive.zips import DEFLATED, STORED, Entry, squeeze

MAX_PEAK_BYTES = 64_000_000
MEASURE = """
import sys
from codepush.archive.gate import inspect
from codepush.domain.errors import CodePushError
with open(sys.argv[1], "rb") as file:
    try:
        package = inspect(file)
        print("passed", len(package.files))
    except CodePushError as exc:
        print(exc)
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def peak_of(path: Path) -> tuple[str, int]:
    """Return what the gate says of an upload, and the most memory its process ever had."""
    command = [sys.executable, "-c", MEASURE, str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said, peak = printed.rsplit("\n", 2)[:2]
    return said, int(peak) * 1024


def write(path: Path, entries: Iterator[Entry]) -> None:
    """Write a zip of very many or very large entries."""
    directory = []
    with path.open("wb") as file:
        for entry in entries:
            directory.append(entry.central_bytes(file.tell()))
            file.write(entry.local_bytes())
        offset = file.tell()
        file.writelines(directory)
        count, size = len(directory), file.tell() - offset
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0))


def large_files() -> Iterator[Entry]:
    """300 MB in three files, one of which packs well."""
    content = bytes(range(256)) * 400_000
    yield Entry("CodePush/zeros", bytes(100_000_000), stream=squeeze(content, 1), **truth(content))
    yield Entry("CodePush/stored", content, STORED)
    yield Entry("CodePush/packed", content, stream=squeeze(content, 0))


def truth(content: bytes) -> dict[str, dict[str, int]]:
    fields = {"crc": zlib.crc32(content), "size": len(content)}
    return {"local": fields, "central": fields}


def long_names() -> Iterator[Entry]:
    """As many and as long names as may be, each with a sign that takes Python four bytes."""
    for number in range(20_000):
        yield Entry(f"CodePush/😀{'a' * 132}/{number:06}".replace("/", "\\"), b"", STORED)


def growing_names() -> Iterator[Entry]:
    """Names that composing makes three times as long."""
    for number in range(20_000):
        yield Entry("\U0001d160" * 37 + f"{number:06}", b"", STORED)


def alike_names() -> Iterator[Entry]:
    """Names all of which differ in case alone."""
    for number in range(16_384):
        bits = f"{number:014b}".replace("0", "a").replace("1", "A")
        yield Entry("é" * 90 + bits, b"", STORED)


def deep_names() -> Iterator[Entry]:
    """Names with as many folders as may be, all different."""
    for number in range(20_000):
        yield Entry("/".join(f"{number:x}" for _ in range(28)), b"", STORED)


def large_extra_fields() -> Iterator[Entry]:
    """Headers of their own with as many extra fields as may be, which the directory lacks."""
    extra = struct.pack("<HH", 0xCAFE, 0) * 16_000
    for number in range(1_000):
        yield Entry(f"CodePush/{number}", b"1", local={"extra": extra})


def bomb() -> Iterator[Entry]:
    content = bytes(9_900_000)
    entry = Entry("", content, DEFLATED)
    packed = replace(entry, stream=entry.packed, content=b"", **truth(content))
    for number in range(20):
        yield replace(packed, name=f"CodePush/{number}")


def liar() -> Iterator[Entry]:
    yield Entry("CodePush/a", b"1", stream=squeeze(bytes(400_000_000), 9))


UPLOADS: dict[str, tuple[Callable[[], Iterator[Entry]], str]] = {
    "large files": (large_files, "passed 3"),
    "long names": (long_names, "passed 20000"),
    "names that grow": (growing_names, "passed 20000"),
    "names alike": (alike_names, "passed 16384"),
    "deep names": (deep_names, "passed 20000"),
    "large extra fields": (large_extra_fields, "passed 1000"),
    "a bomb within the bounds": (bomb, "passed 20"),
    "a bomb that lies": (liar, "The package has an entry 'CodePush/a' that unpacks to more"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("name", UPLOADS)
def test_the_gate_stays_within_its_memory(name: str, tmp_path: Path) -> None:
    entries, expected = UPLOADS[name]
    path = tmp_path / "upload"
    write(path, entries())
    said, peak = peak_of(path)
    assert said.startswith(expected)
    assert peak < MAX_PEAK_BYTES, f"{peak / 1e6:.0f} MB"
    print(f"{name}: {peak / 1e6:.1f} MB")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_a_large_single_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    said, peak = peak_of(path)
    assert said == "passed 0"
    assert peak < MAX_PEAK_BYTES
