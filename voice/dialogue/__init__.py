"""What is said and asked in a call: a pure state machine, the same on every line and with or without a model."""

from voice.dialogue.conversation import step
from voice.dialogue.keep import from_json, to_json
from voice.dialogue.opening import begin
from voice.dialogue.progress import Progress, progress
from voice.dialogue.warm import load

__all__ = ["Progress", "begin", "from_json", "load", "progress", "step", "to_json"]
