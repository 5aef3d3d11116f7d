"""What each vendor gets of every voicemail during chaos: small mappings, with a second step that hangs on the first.

Every text names the call, so that a record of one call can be told from that of another.
"""

from __future__ import annotations

_HEAD = """version: 1
event: com.afterbeep.voicemail.completed.v1
when: [{field: bucket, in: [new_lead]}]
steps:
"""

MAPPINGS = {
    "salesforce": """
  - id: lead
    object: Lead
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company: {value: "[not given]"}
      Phone: {from: caller.phone, as: e164}
  - id: callback
    object: Task
    set:
      WhoId: {id_of: lead}
      Subject: {text: "Call back: {summary}", max: 255}
""",
    "hubspot": """
  - id: contact
    object: contacts
    set:
      lastname: {from: [caller.name.family, caller.name.full]}
      phone: {from: caller.phone, as: e164}
  - id: callback
    object: tasks
    set:
      "association:contacts": {id_of: contact}
      hs_task_subject: {text: "Call back: {summary}", max: 255}
      hs_timestamp: {from: call.started_at, as: utc_datetime}
""",
    "pipedrive": """
  - id: person
    object: Person
    set:
      name: {from: caller.name.full, or: Unknown}
      phone: {from: caller.phone, as: e164}
  - id: callback
    object: Activity
    set:
      person_id: {id_of: person}
      subject: {text: "Call back: {summary}", max: 255}
""",
    "zendesk": """
  - id: ticket
    object: Ticket
    set:
      subject: {text: "{summary}", max: 150}
      description: {text: "{summary}"}
      comment_public: {value: false}
""",
    "pagerduty": """
  - id: page
    object: incident
    set:
      title: {text: "{summary}", max: 255}
  - id: recording
    object: note
    set:
      incident: {id_of: page}
      content: {text: "Voicemail of {call.id}"}
""",
    "google_calendar": """
  - id: visit
    object: event
    set:
      summary: {text: "{summary}", max: 200}
      start: {from: call.started_at, as: local_datetime}
""",
    "twilio_sms": """
  - id: text
    object: message
    set:
      To: {from: caller.phone, as: e164}
      consent: {value: true}
      Body: {text: "We have your message of call {call.id}."}
""",
}

#: Connection settings that a vendor needs for this.
SETTINGS: dict[str, dict[str, object]] = {
    "twilio_sms": {
        "quiet_hours": False,
        "sender": "+14155550100",
        "segments_per_s": 20,
        "texts_per_day": 1_000,
    },
    "zendesk": {"job_runs_s": 4},
}


def mapping(vendor: str) -> str:
    """Give a vendor's mapping as YAML."""
    return _HEAD + MAPPINGS[vendor].lstrip("\n")


def steps(vendor: str) -> int:
    """Tell how many records one voicemail makes at a vendor."""
    return MAPPINGS[vendor].count("- id:")
