"""A setting, route or command that is not documented fails here."""

import re
import tomllib
from pathlib import Path

import click
import pytest
from flask import Flask

import config.default
from codepush.cli import codepush

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
