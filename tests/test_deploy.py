"""What is meant for other tools: parsed, linted where a linter can be had, and in step."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from flask import Flask
from pycep import BicepParser

import config.default
from codepush.server.supervisor import WEB_PATIENCE_S, WORKER_PATIENCE_S
from codepush.settings import load_settings
from tests.needed import lacking
from tests.shown_metrics import shown_metrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def pins(path: str) -> dict[tuple[str, str], str]:
    """Return versions by package and by what follows a semicolon."""
    text = (ROOT / path).read_text("utf-8")
    found = re.findall(r"^([\w.-]+)==([\w.+-]+)(?: *;([^\\\n]*))?", text, re.MULTILINE)
    return {(name, _marker(marker)): version for name, version, marker in found}


def _marker(text: str) -> str:
    """An extra of a lock may add conditions; only versions of Python matter here."""
    return " ".join(re.findall(r"python_full_version [<>=]+ '[\d.]+'", text))


def test_what_a_paas_installs_is_what_is_locked() -> None:
    locked, installed = pins("requirements.lock"), pins("requirements.txt")
    assert len(installed) > 40
    assert installed.items() <= locked.items()
    assert not {"pytest", "ruff", "mypy"} & {name for name, _ in installed}
    assert (ROOT / "requirements.txt").read_text("utf-8").splitlines()[-1] == ".", "and this"


def test_what_a_paas_installs_is_all_that_is_needed() -> None:
    """As pip sees it: every requirement of the server and of its extras has a pin."""
    names = {name.lower().replace("_", "-") for name, _ in pins("requirements.txt")}
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    wanted = setup.split("install_requires =")[1].split("dev =")[0]
    for line in re.findall(r"^ {4}([A-Za-z][\w-]*)", wanted, re.MULTILINE):
        assert line.lower() in names, line


def test_the_version_of_python_is_the_same_everywhere() -> None:
    version = (ROOT / ".python-version").read_text().strip()
    assert (ROOT / "runtime.txt").read_text() == f"python-{version}\n"
    for image in re.findall(
        r"^FROM python:(\S+?)-", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    ):
        assert image == version
    assert f"python_requires = >={version}" in (ROOT / "setup.cfg").read_text("utf-8")


def test_the_dockerfile_has_no_faults_that_hadolint_finds() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "info", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"^USER \d+", text, re.MULTILINE), "nobody's, but a number: k8s checks that"
    assert "HEALTHCHECK" in text


def copied() -> set[str]:
    lines = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    return {name for line in lines for name in line.split()}


def test_the_image_is_made_of_what_its_build_is_given() -> None:
    given = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert {name.split("/")[0] for name in copied()} == set(given)
    assert all((ROOT / name).exists() for name in copied())


def settings_named(environment: dict[str, Any]) -> set[str]:
    return {name for name in environment if name not in {"CODEPUSH_ENV", "AZURE_CLIENT_ID"}}


KNOWN = {name for name in vars(config.default) if name.isupper()}


def test_compose_and_app_json_set_what_there_is() -> None:
    compose = load("compose.yaml")
    services = compose["services"]
    assert set(services) == {"web", "worker", "valkey"}
    for name in ("web", "worker"):
        assert settings_named(services[name]["environment"]) <= KNOWN
        # All other settings come from there; what they must not change is said above.
        assert services[name]["env_file"] == [{"path": ".env", "required": False}]
        assert {"REDIS_URL", "DATA_DIR", "HOST", "PORT"} <= set(services[name]["environment"])
        assert services[name]["read_only"] is True
        patience_s = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert patience_s > WEB_PATIENCE_S + WORKER_PATIENCE_S, "the image's own command has both"
    for service in services.values():
        for volume in service["volumes"]:
            assert volume.split(":")[0] in compose["volumes"]
    app = json.loads((ROOT / "app.json").read_text("utf-8"))
    assert settings_named(app["env"]) <= KNOWN
    procfile = load("Procfile")
    assert set(app["formation"]) <= set(procfile)


def test_compose_publishes_its_port_on_this_machine_only() -> None:
    """Whoever else reached it could send the headers that TRUSTED_PROXIES in .env believes."""
    services = load("compose.yaml")["services"]
    assert services["web"]["ports"] == ["${BIND:-127.0.0.1}:3000:3000"]
    assert not [name for name, service in services.items() if name != "web" and "ports" in service]


def test_what_the_systemd_unit_names_is_what_its_head_installs() -> None:
    text = (DEPLOY / "systemd" / "codepush.service").read_text("utf-8")
    (page,) = re.findall(r"^Documentation=file://(\S+)$", text, re.MULTILINE)
    folder, _, name = page.rpartition("/")
    assert f"-t {folder} {name}" in text.partition("[Unit]")[0]
    assert (ROOT / name).exists()


def test_a_port_below_1024_is_told_of_with_what_the_unit_lacks() -> None:
    """The unit takes away what a process that is not root needs for it."""
    unit = (DEPLOY / "systemd" / "codepush.service").read_text("utf-8")
    assert "\nCapabilityBoundingSet=\n" in unit
    page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    section = page.partition("### HTTPS without a proxy")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"```\n(\[Service\].*?)```", section, re.DOTALL)
    for name in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert f"{name}=CAP_NET_BIND_SERVICE\n" in shown


def test_the_systemd_units_are_sound(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        lacking("systemd-analyze is not installed")
    unit = tmp_path / "codepush.service"
    text = (DEPLOY / "systemd" / "codepush.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/codepush/bin/codepush", sys.executable))
    shutil.copy(DEPLOY / "systemd" / "codepush.socket", tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", unit, tmp_path / "codepush.socket"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "codepush." not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_one_machine_lets_in_who_is_invited_and_the_proxy_only() -> None:
    text = (DEPLOY / "systemd" / "codepush.service").read_text("utf-8")
    words = " ".join(re.findall(r"^Environment=(.*)$", text, re.MULTILINE)).split()
    settings = load_settings(dict(word.split("=", 1) for word in words))
    production = load_settings({"CODEPUSH_ENV": "production"})
    assert settings.registration == production.registration == "invited"
    assert settings.log_format == production.log_format
    assert settings.host == "127.0.0.1", "or TRUSTED_PROXIES=1 believes anybody"


def test_the_bicep_can_be_parsed_and_sets_what_there_is() -> None:
    path = DEPLOY / "azure" / "main.bicep"
    parsed = BicepParser().parse(file_path=path)
    roles = {"contributor", "delegator", "puller"}
    assert {"storage", "redis", *roles} <= set(parsed["resources"])
    for name in ("web", "worker", "migrate"):
        made = parsed["resources"][name]["config"]
        assert roles <= set(re.findall(r"\w+", str(made["dependsOn"]))), "or its start is refused"
        assert "registries" in made["properties"]["configuration"]
    names = set(re.findall(r"name: '([A-Z][A-Z_]+)'", path.read_text("utf-8")))
    assert len(names) >= 7
    assert {name for name in names if name not in {"CODEPUSH_ENV", "AZURE_CLIENT_ID"}} <= KNOWN


def test_the_bicep_encodes_the_key_of_the_store_and_spells_names_in_lower_case() -> None:
    text = (DEPLOY / "azure" / "main.bicep").read_text("utf-8")
    (password,) = re.findall(r"'rediss://:\$\{(.*?)\}@", text)
    assert password == "uriComponent(database.listKeys().primaryKey)", "base64 has / and +"
    assert "var prefix = toLower(name)" in text
    made = [text for text in re.findall(r"'\$\{(\w+)\}(?:-\w+|\$)", text) if text != "registry"]
    assert len(made) >= 4
    assert set(made) == {"prefix"}, "Azure refuses names with capitals"
    assert not re.search(r"\bname: name$", text, re.MULTILINE)


def test_the_bicep_names_the_domain_that_azure_would_take_away() -> None:
    """Azure removes what a deployment does not name, so each update has to name it again."""
    parsed = BicepParser().parse(file_path=DEPLOY / "azure" / "main.bicep")
    ingress = parsed["resources"]["web"]["config"]["properties"]["configuration"]["ingress"]
    assert ingress["customDomains"] == "customDomains"
    told = parsed["variables"]["customDomains"]["value"]["operator"]["operands"]
    assert told["condition"]["function"]["parameters"] == {"item_to_test": "hostName"}
    assert told["true_value"] == []
    (domain,) = told["false_value"]
    assert domain["name"] == "hostName"
    for name, without, given in (
        ("certificateId", None, "certificateId"),
        ("bindingType", "Disabled", "SniEnabled"),
    ):
        operands = domain[name]["operator"]["operands"]
        assert operands["condition"]["function"]["parameters"] == {"item_to_test": "certificateId"}
        assert (operands["true_value"], operands["false_value"]) == (without, given)
    for name in ("hostName", "certificateId", "publicUrl"):
        assert parsed["parameters"][name]["default"] == "", "a first deployment knows none"


def test_what_the_page_deploys_to_azure_with_are_parameters_of_the_bicep() -> None:
    parsed = BicepParser().parse(file_path=DEPLOY / "azure" / "main.bicep")
    page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    section = page.partition("\n## Azure\n")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"az deployment group create (.*?)\n```", section, re.DOTALL)
    given = set(re.findall(r"(\w+)=", shown))
    assert {"hostName", "certificateId"} <= given <= set(parsed["parameters"])
    needed = {name for name, each in parsed["parameters"].items() if "default" not in each}
    assert needed <= given
    # What DNS must have before Azure gives a certificate.
    assert "`asuid.codepush.example.com`" in section
    assert "customDomainVerificationId" in section


def expressions() -> list[str]:
    rules = [rule["expr"] for group in load(str(ALERTS.relative_to(ROOT)))["groups"]
             for rule in group["rules"]]  # fmt: skip
    board = json.loads((DEPLOY / "grafana" / "codepush.json").read_text("utf-8"))
    return rules + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_alerts_and_dashboard_name_metrics_that_there_are(app: Flask) -> None:
    named = {name for text in expressions() for name in re.findall(r"\bcodepush_\w+", text)}
    assert len(named) > 10
    assert {re.sub(r"_(count|bucket|sum)$", "", name) for name in named} <= shown_metrics(app)


def test_alert_rules_are_what_prometheus_takes() -> None:
    for rule in load(str(ALERTS.relative_to(ROOT)))["groups"][0]["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"]
    if shutil.which("promtool") is None:
        lacking("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        ["promtool", "check", "rules", ALERTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


INSTANCES = 4
SHARED = """
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
{series}
    alert_rule_test:
{expected}
"""


def alerts_fire(folder: Path, samples: dict[str, str], fires: dict[str, bool]) -> str:
    """Return what promtool finds wrong if every instance tells ``samples`` for an hour."""
    series = [
        f'      - series: {name[:-1]}, instance="{number}"}}\n        values: {values}'
        for name, values in samples.items()
        for number in range(INSTANCES)
    ]
    expected = [
        f"      - eval_time: 1h\n        alertname: {alert}\n        exp_alerts:"
        + (" [{exp_labels: {severity: ticket}}]" if fire else " []")
        for alert, fire in fires.items()
    ]
    # What an alert says holds a value; only whether it fires is asked here.
    rules = load(str(ALERTS.relative_to(ROOT)))
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    test = folder / "test.yaml"
    test.write_text(SHARED.format(series="\n".join(series), expected="\n".join(expected)))
    done = subprocess.run(
        ["promtool", "test", "rules", test],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def queue(each: str, failed: str) -> dict[str, str]:
    return {
        'codepush_queue_depth{queue="packages"}': each,
        'codepush_queue_depth{queue="hooks"}': each,
        'codepush_jobs_total{outcome="failed"}': failed,
        'codepush_jobs_total{outcome="succeeded"}': "0+100x60",
    }


def test_what_four_instances_tell_of_one_queue_is_counted_once(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        lacking("promtool is not installed (Debian: prometheus)")
    names = ("CodePushQueueGrows", "CodePushJobsFail")
    quiet, loud = dict.fromkeys(names, False), dict.fromkeys(names, True)
    # 800 jobs and 7.5 failures in 15 minutes are below the limits, four times as many are not.
    assert not alerts_fire(tmp_path, queue("400+0x60", "0+0.5x60"), quiet)
    assert not alerts_fire(tmp_path, queue("600+0x60", "0+1x60"), loud)


def test_a_queue_that_is_away_fires_as_such_and_a_missing_worker_as_one(tmp_path: Path) -> None:
    """While it is away nothing is known of workers, and no request fails."""
    if shutil.which("promtool") is None:
        lacking("promtool is not installed (Debian: prometheus)")
    names = ("CodePushQueueDown", "CodePushNoWorker", "CodePushStoreFailing")
    for up, fire in ((0, names[0]), (1, names[1])):
        told = {'codepush_queue_up{job="codepush"}': f"{up}+0x60"}
        fires = {name: name == fire for name in names}
        assert not alerts_fire(tmp_path, told, fires)


def test_no_panel_adds_what_instances_tell_of_one_queue() -> None:
    shared = r"codepush_(queue_depth|jobs_total|worker_\w+)"
    named = [text for text in expressions() if re.search(shared, text)]
    assert len(named) >= 7
    for text in named:
        for part in re.split(r" [/>] | and ", text):
            added = re.match(r"sum( by \(\w+\))? ?\((?!max by)", part)
            assert not (added and re.search(shared, part)), text
