"""Help pages: every command has one, with an example, and they come fast."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from hub.cli import COMMANDS, afterbeep


def all_commands() -> list[tuple[str, ...]]:
    """List every command and every command of a group."""
    found: list[tuple[str, ...]] = []
    for name, entry in COMMANDS.items():
        command = entry.load()
        if isinstance(command, click.Group):
            found += [(name, each) for each in command.commands]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(words: tuple[str, ...]):
    """``--help`` says what the command does and shows a line that one can copy."""
    answer = CliRunner().invoke(afterbeep, [*words, "--help"], prog_name="afterbeep")

    assert answer.exit_code == 0, answer.output
    assert "Example" in answer.output
    assert f"afterbeep {' '.join(words)}" in answer.output


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items(), ids=list(COMMANDS))
def test_the_table_names_commands_that_exist(name: str, entry):
    """Each entry leads to a command of its name."""
    assert entry.load().name == name


def test_the_help_page_imports_none_of_the_heavy_packages():
    """``afterbeep --help`` loads neither the web framework nor the database nor a model."""
    code = (
        "import sys\n"
        "from hub.cli import afterbeep\n"
        "afterbeep.main(['--help'], standalone_mode=False)\n"
        "print(sorted({'flask', 'sqlalchemy', 'pydantic', 'numpy', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_refused_with_2():
    """Usage errors have their own exit code."""
    assert CliRunner().invoke(afterbeep, ["nothing"]).exit_code == 2
