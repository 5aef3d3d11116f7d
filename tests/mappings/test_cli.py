"""The commands that need no database, as a person or a program calls them."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from mappings.catalogue import catalogue, example_facts
from mappings.cli import mapping
from mappings.presets import presets
from tests.mappings.account import schema

GOOD = next(p.text for p in presets("salesforce") if p.name == "lead_and_task")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call a command in a folder that holds good.yaml, bad.yaml and event.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("critical: Hot", "urgent: Hot"))
    (tmp_path / "broken.yaml").write_text("steps: [")
    event = example_facts()
    del event["transcript"]["text"]
    (tmp_path / "event.json").write_text(json.dumps(event))
    fields = {"Lead": [asdict(field) for field in schema("Lead")]}
    (tmp_path / "fields.json").write_text(json.dumps(fields))
    return lambda *words, **more: CliRunner().invoke(mapping, words, **more)


def test_check_accepts_a_good_mapping(run):
    """No errors, exit code 0."""
    answer = run("check", "good.yaml")

    assert answer.exit_code == 0
    assert answer.output == "good.yaml: 0 errors, 0 warnings\n"


def test_check_names_problems(run):
    """Errors are told with their path, exit code 1; JSON holds the same."""
    answer = run("check", "bad.yaml")
    as_json = json.loads(run("check", "bad.yaml", "--json").output)

    assert answer.exit_code == 1
    assert (
        'error: steps[0].set.Rating.choose: "urgent" is not a value of urgency.level'
        in answer.output
    )
    assert as_json["errors"] == 1
    assert as_json["problems"][0]["pointer"] == "/steps/0/set/Rating/choose"


def test_check_against_an_account(run):
    """With --schema the account's side is checked."""
    answer = run("check", "good.yaml", "--schema", "fields.json")

    assert answer.exit_code == 1
    assert 'steps[1].object: the account has no object "Task"' in answer.output


def test_check_reports_text_that_is_no_document(run):
    """Broken YAML is a problem like others."""
    assert run("check", "broken.yaml").exit_code == 1


def test_show_is_the_normal_form(run):
    """YAML and JSON of the same mapping; shown again, it is the same."""
    yaml_text = run("show", "good.yaml").output
    again = run("show", "-", input=yaml_text).output

    assert again == yaml_text
    assert json.loads(run("show", "good.yaml", "--json").output)["steps"][0]["id"] == "lead"


def test_show_lists_the_catalogue(run):
    """Without a file, everything that can be read is listed."""
    lines = run("show").output.splitlines()

    assert len(lines) == len(catalogue())
    assert any(line.startswith("caller.phone ") for line in lines)


def test_diff_tells_what_changed(run):
    """Exit code 1 and a line for each change, 0 when there is none."""
    assert run("diff", "good.yaml", "good.yaml").exit_code == 0
    assert run("diff", "good.yaml", "broken.yaml").exit_code == 2


def test_render_shows_the_records(run):
    """A dry run shows fields with ids in words; --json gives all of it."""
    answer = run("render", "good.yaml", "event.json", "--timezone", "Europe/Berlin")
    as_json = json.loads(run("render", "good.yaml", "event.json", "--json").output)

    assert answer.exit_code == 0
    assert '  WhoId: "<id of lead>"' in answer.output
    assert as_json["matches"] is True
    assert as_json["steps"][0]["fields"]["LastName"] == "Whitfield"


def test_render_refuses_what_it_cannot_use(run):
    """A bad zone or event is one sentence and exit code 2."""
    assert run("render", "good.yaml", "--timezone", "Mars").exit_code == 2
    assert run("render", "good.yaml", "good.yaml").exit_code == 2
    assert run("render", "good.yaml", "fields.json").exit_code == 2


def test_presets_can_be_listed_and_written(run):
    """A preset's text is written as it is."""
    assert "lead_and_task" in run("presets", "salesforce").output
    assert run("presets", "salesforce", "lead_and_task").output == GOOD
    assert run("presets", "nobody").exit_code == 2
    assert run("presets", "salesforce", "nothing").exit_code == 2


@pytest.mark.parametrize("name", sorted(mapping.commands))
def test_every_command_has_help_with_an_example(run, name):
    """--help says what the command does and shows one call."""
    assert f"Example: afterbeep mapping {name}" in run(name, "--help").output
