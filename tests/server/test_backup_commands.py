"""``codepush backup``, ``restore``, ``verify`` and ``migrate`` as operators run them."""

from pathlib import Path

from tests.server.processes import Processes


def run(processes: Processes, *command: str, code: int = 0, **settings: str) -> tuple[str, str]:
    process = processes.python("-P", "-m", "codepush", *command, **settings)
    told, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return told, said


def test_from_one_embedded_store_into_another(processes: Processes, tmp_path: Path) -> None:
    run(processes, "user", "create", "--email", "ann@example.com")
    run(processes, "migrate")
    file = tmp_path / "backup"
    told, said = run(processes, "backup", str(file), "--blobs")
    digest = told.split()[-1]
    assert "Reading records" in said
    there = str(tmp_path / "there")
    _, said = run(processes, "restore", str(file), "--sha256", "0" * 64, code=2, DATA_DIR=there)
    assert f"is another backup: its SHA-256 is {digest}" in said
    told, said = run(processes, "restore", str(file), "--sha256", digest, DATA_DIR=there)
    assert "keys restored" in told
    assert "Restoring" in said
    assert "ann@example.com" in run(processes, "user", "list", DATA_DIR=there)[0]
    told, _ = run(processes, "verify", DATA_DIR=there)
    assert told == "0 releases with 0 package files.\nEverything is sound.\n"
    _, said = run(processes, "restore", str(file), code=2, DATA_DIR=there)
    assert "The store is not empty" in said
    file.write_bytes(file.read_bytes()[:-12_000])
    _, said = run(processes, "restore", str(file), code=2, DATA_DIR=str(tmp_path / "third"))
    assert said.splitlines()[-1].startswith("codepush: ")
    _, said = run(processes, "backup", str(file), code=2)
    assert "exists already" in said
