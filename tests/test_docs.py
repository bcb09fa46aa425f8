"""A setting, route or command that is not documented fails here."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask import Flask

import config.default
from codepush.cli import codepush
from codepush.server.access import store_url
from codepush.settings import load_settings
from plugins.storage_local import LocalStorage
from tests.shown_metrics import shown_metrics
from tests.storage_contract import blob_key, put

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
HTTP = (ROOT / "docs" / "http.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(n for n in vars(config.default) if n.isupper()))
def test_every_setting_is_in_the_readme_with_its_default(name: str) -> None:
    default = getattr(config.default, name)
    row = re.search(rf"^\| `{name}` \|(.*?)\|", README, re.MULTILINE)
    assert row, name
    assert row[1].strip() == (f"`{default}`" if default else ""), name


def commands(group: click.Group, path: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
        else:
            assert command.help
            found.append(f"{path} {name}")
    return found


@pytest.mark.parametrize("command", commands(codepush, "codepush"))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"| `{command}` |" in README


def test_every_command_in_the_readme_exists() -> None:
    written = set(re.findall(r"^\| `(codepush [a-z -]+)` \|", README, re.MULTILINE))
    assert written == set(commands(codepush, "codepush"))


def routes(app: Flask) -> set[str]:
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule).rstrip("/") or "/"
        if not path.startswith("/v0.1/legacy"):
            found |= {
                f"{method} {path}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            }
    return found


def test_the_routes_and_the_http_reference_agree(app: Flask) -> None:
    written = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", HTTP, re.MULTILINE))
    assert written == routes(app)


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"(?:`|^ {4})make ([a-z]+)\b", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_no_decision_page_is_missing_from_its_index() -> None:
    pages = {path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    assert pages == set(re.findall(r"\]\(([0-9]{4}-[a-z0-9-]+\.md)\)", index))


def test_pyproject_holds_only_what_setup_cfg_cannot() -> None:
    held = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert set(held) == {"build-system", "tool"}
    assert set(held["tool"]) == {"ruff"}


PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def parts() -> list[tuple[Path, str]]:
    """Return each command line that the documentation shows, cut at pipes: its page, and itself."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        blocks += re.findall(r"^ {4}\S.*$", text, re.MULTILINE)
        for line in "\n".join(blocks).splitlines():
            found += [(page, part.strip()) for part in re.split(r"&&|\|", line.partition(" #")[0])]
    return found


def shown(name: str) -> list[tuple[str, str]]:
    """Return each use of a program in the documentation: the page, and the arguments."""
    found = []
    for page, part in parts():
        use = re.search(rf"(?:^|.*[ /]){name} (.*)$", part)
        if use and not use[1].startswith("HTTP/"):
            found.append((page.name, use[1]))
    return found


@pytest.mark.parametrize(("page", "arguments"), shown("codepush"))
def test_every_command_shown_is_understood(
    page: str, arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options and arguments are parsed; a command that does not exist fails here."""
    command: click.Command = codepush
    monkeypatch.chdir(tmp_path)
    rest = shlex.split(arguments.replace("$(date +%F)", "today"))
    for word in rest:
        if re.fullmatch(r"backup-\w+", word):
            (tmp_path / word).touch()  # as if it had been written before
    path = ["codepush"]
    while isinstance(command, click.Group):
        assert rest, (page, arguments)
        assert rest[0] in command.commands, (page, arguments)
        path.append(rest.pop(0))
        command = command.commands[path[-1]]
    with click.Context(command, info_name=" ".join(path)) as context:
        command.parse_args(context, rest)
    done = CliRunner().invoke(codepush, [*path[1:], "--help"])
    assert done.exit_code == 0


def test_the_documentation_shows_commands() -> None:
    assert len(shown("codepush")) > 10


BEFORE_A_COMMAND = r"(docker compose (exec|run --rm) web|sudo -u codepush) "
"""What a machine of another kind needs, and this one has not."""

LASTING = {"codepush serve", "codepush worker"}
"""Commands that end only when they are told to; tests/server runs these."""


class Machine:
    """A folder that stands for the machine of an operator, with a server's store running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "var"
        self.ran: set[str] = set()
        put(LocalStorage(self.data_dir / "blobs"), b"a package", blob_key(b"a package"))
        program = folder / "bin" / "codepush"
        program.parent.mkdir()
        (folder / "data").mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m codepush "$@"\n')
        program.chmod(0o755)

    def run(self, page: Path, line: str) -> str:
        """Run a line in a folder of its page; return what it told."""
        here = self.folder / page.stem
        if not here.exists():
            (here / ".venv").mkdir(parents=True)
            (here / ".venv" / "bin").symlink_to(self.folder / "bin")
            (here / "var").symlink_to(self.data_dir)
        done = subprocess.run(
            ["/bin/sh", "-ec", self._here(page, line)],
            cwd=here,
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "DATA_DIR": str(self.data_dir),
            },
            input="a password of twenty\n" * 2,  # as typed by whoever is asked for one
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,  # without a terminal, from which it would be read
        )
        assert done.returncode == 0, (page.name, line, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, (page.name, line, done.stderr)
        self.ran |= {name for name in commands(codepush, "codepush") if f"{name} " in f"{line} "}
        return done.stdout

    def _here(self, page: Path, line: str) -> str:
        """Return a line with the places and the people of this machine."""
        line = re.sub(BEFORE_A_COMMAND, "", line)
        line = line.replace("example.com", f"{page.stem.lower()}.example.com")  # pages repeat them
        line = line.replace("$(date +%F)", "today")  # which may end between two lines
        line = line.replace("/opt/codepush/bin", str(self.folder / "bin"))
        line = line.replace("/var/lib/codepush", str(self.data_dir))
        line = line.replace("/srv/copy", str(self.folder / page.stem / "copy"))
        line = line.replace(" /data/", f" {self.folder}/data/")
        return re.sub(r"azure://\S+", f"local://{self.folder}/elsewhere", line)


def test_every_command_shown_runs(tmp_path: Path) -> None:
    """All on one store, as the pages have them: in their order, and with what they made before."""
    use = rf"({BEFORE_A_COMMAND})?(\w+=\S+ |env \S+ )*([./\w]*/)?codepush "
    lines = [(page, part) for page, part in parts() if re.match(use, part)]
    assert len(lines) == len(shown("codepush")), "none is passed over"
    machine = Machine(tmp_path)
    with store_url(load_settings({"DATA_DIR": str(machine.data_dir)})):
        for page, part in lines:
            machine.run(page, part)
        in_tables = set(re.findall(r"^\| `(codepush [a-z -]+)` \|", README, re.MULTILINE))
        for command in sorted(in_tables - machine.ran - LASTING):
            machine.run(ROOT / "README.md", command)
        assert machine.ran == set(commands(codepush, "codepush")) - LASTING
        people = machine.run(ROOT / "README.md", "codepush user list")
    assert {"ann@readme.example.com", "you@deploying.example.com"} <= set(people.split())


@pytest.mark.parametrize(
    "target", sorted({re.split(r"[ (]", use)[0] for _, use in shown("make")} - {""})
)
def test_every_make_target_shown_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)", page.read_text("utf-8")):
        if not link.startswith("http"):
            target = page.parent / link if link else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), (link, anchor)


def anchors(page: Path) -> set[str]:
    """Return what a link may name in a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def section(page: str, heading: str) -> str:
    text = (ROOT / page).read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_readme_tells_of_all_that_the_procfile_runs() -> None:
    entries = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines()
    )
    told = section("README.md", "Deploy").partition("Heroku-like")[2].partition("\n\n")[0]
    assert {"web", "worker", "release"} == set(entries)
    assert {"`web`", "`worker`", "release", f"`{entries['release']}`"} <= set(
        re.findall(r"`[^`]+`|\w+", told)
    )


def test_operators_are_led_to_backups() -> None:
    assert "README.md#backups" in section("docs/operating.md", "Backups")


def test_the_page_about_clusters_names_what_is_left_out_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    left_out = re.findall(r"--ignore=(\S+)", makefile.partition("\ntest-cluster:")[2])
    page = (ROOT / "docs" / "adr" / "0019-cluster.md").read_text("utf-8")
    assert left_out
    assert all(f"`{folder}`" in page for folder in left_out)
    for name in re.findall(r"`(test_\w+\.py)`", page):
        assert (ROOT / "tests" / "server" / name).exists(), name


def test_every_page_is_in_the_list_of_pages() -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text("utf-8"))
    assert set(linked) == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_age_of_workers_is_explained_alike_everywhere() -> None:
    """As ``JobVitals.silent_s`` has it: the newest word of any would hide that a kind is gone."""
    name, meaning = "codepush_worker_heartbeat_age_seconds", "kind silent for longest"
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
    assert meaning in row
    board = json.loads((ROOT / "deploy" / "grafana" / "codepush.json").read_text("utf-8"))
    targets = [target for panel in board["panels"] for target in panel["targets"]]
    legends = [target["legendFormat"] for target in targets if name in target["expr"]]
    assert legends == [meaning]


def test_every_metric_is_in_the_page_for_operators(app: Flask) -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    table = re.findall(r"^\| (`codepush_.*?) \|", text, re.MULTILINE)
    assert set(re.findall(r"codepush_\w+", " ".join(table))) == shown_metrics(app)
