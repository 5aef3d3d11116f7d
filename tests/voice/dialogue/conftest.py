"""A call played against the dialogue alone, as a line without a model would do it."""

from dataclasses import dataclass, field

import pytest

from voice import languages
from voice.dialogue import begin, step
from voice.dialogue.types import End, Heard, Say, Transfer, UseTool
from voice.profile import Profile

OWN = "+14155550132"


def profile(**changes) -> Profile:
    """A plumber's line; any setting may be another."""
    plain = {
        "tenant_id": "t1",
        "number": "+14155550100",
        "name": "Harbor Plumbing",
        "vertical": "home_services",
    }
    return Profile(**(plain | changes))


@dataclass
class Call:
    """One call: what was said to the caller so far, and the last step."""

    profile: Profile
    caller_id: str | None = OWN
    known: object = None
    spoken: list[Say] = field(default_factory=list)

    def __post_init__(self):
        """Pick up the telephone."""
        self.now = begin(self.profile, caller_id=self.caller_id, known=self.known)
        self._note()

    def _note(self):
        self.acts = self.now.acts
        self.says = [act for act in self.acts if isinstance(act, Say)]
        self.spoken += self.says
        self.lines = [say.line or "text" for say in self.says]

    def hears(self, given):
        """Tell the dialogue what happened; plain text is what the caller says."""
        self.now = step(self.talk, Heard(given) if isinstance(given, str) else given, self.profile)
        self._note()
        return self

    def plays(self, *inputs):
        """Tell it several things, one after the other."""
        for given in inputs:
            self.hears(given)
        return self

    @property
    def talk(self):
        """What the dialogue remembers."""
        return self.now.talk

    @property
    def slots(self):
        """What was found out, by plain names."""
        return {str(key): value for key, value in self.talk.slots.items()}

    @property
    def is_over(self):
        """Whether the last step hangs up."""
        return any(isinstance(act, End) for act in self.acts)

    @property
    def transfer(self):
        """The transfer of the last step, if it has one."""
        return next((act for act in self.acts if isinstance(act, Transfer)), None)

    @property
    def asked_tool(self):
        """The tool that the last step asks for, if any."""
        return next((act for act in self.acts if isinstance(act, UseTool)), None)

    def text(self):
        """What was said last, in words."""
        return " ".join(
            say.text
            or languages.line(
                say.line, self.talk.language, region_number=self.profile.number, **say.values
            )
            for say in self.says
        )

    def all_lines(self):
        """Names of all fixed lines that were said in the call."""
        return [say.line for say in self.spoken if say.line]


@pytest.fixture
def call():
    """Place a call: settings of the tenant, and who calls."""

    def place(*, caller_id=OWN, known=None, **settings):
        return Call(profile(**settings), caller_id, known)

    return place
