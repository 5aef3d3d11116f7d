"""The catalogue is what the event's model says."""

from __future__ import annotations

from mappings.catalogue import catalogue, example_facts, find_field
from mappings.event import Bucket, Voicemail, facts
from mappings.paths import getter


def test_every_field_has_its_example_at_its_path():
    """Reading a field's path out of the example voicemail gives the field's example."""
    found = example_facts()

    for field in catalogue():
        if not field.is_open:
            assert getter(field.path)(found) == field.example, field.path


def test_the_example_is_a_valid_event():
    """The example voicemail is what the model accepts and gives as facts."""
    found = example_facts()
    text = found["transcript"].pop("text")

    again = facts(Voicemail.model_validate(found))

    assert again.pop("transcript")["text"] == text
    found.pop("transcript")
    assert again == found


def test_what_is_always_there_is_told():
    """Parts with a default count as always there; optional ones and lists do not."""
    required = {field.path for field in catalogue() if field.is_required}

    assert {"call.id", "bucket", "urgency.score", "urgency.level", "escalate"} <= required
    assert not required & {"caller.phone", "call.recording.url", "urgency.reasons.line"}


def test_open_ended_fields_are_found_by_any_name():
    """Fields of the tenant's own are known by whatever name they have."""
    assert find_field("extra.branch") is find_field("extra.anything else")
    assert find_field("extra") is None
    assert find_field("caller.anything") is None


def test_choices_come_from_the_model():
    """A field with a few values lists them all."""
    assert find_field("bucket").choices == tuple(bucket.value for bucket in Bucket)
    assert find_field("caller.phone").type == "phone"
    assert find_field("call.started_at").type == "datetime"
    assert find_field("caller.company").max_chars == 255
