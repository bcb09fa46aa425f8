"""A setting, route or command that is not documented fails here."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask import Flask

import config.default
from codepush.cli import codepush
from codepush.telemetry.counters import counters

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


def shown(name: str) -> list[tuple[str, str]]:
    """Return each use of a program in the documentation: the page, and the arguments."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        blocks += re.findall(r"^ {4}\S.*$", text, re.MULTILINE)
        for line in "\n".join(blocks).splitlines():
            for part in re.split(r"&&|\|", line.partition(" #")[0]):
                use = re.search(rf"(?:^|.*[ /]){name} (.*)$", part.strip())
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


@pytest.mark.parametrize(
    "target", sorted({re.split(r"[ (]", use)[0] for _, use in shown("make")} - {""})
)
def test_every_make_target_shown_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text("utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_page_is_in_the_list_of_pages() -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text("utf-8"))
    assert set(linked) == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_every_metric_is_in_the_page_for_operators(app: Flask) -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    for counter in counters():
        assert re.search(rf"`codepush_(worker_)?{counter.name}\b", text), counter.name
