"""Reading TwiML, strictly: what Twilio would log as an error or a warning is one here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from voice.sandbox.twilio.schema import DEFAULTS, ELEMENTS

#: Numbers of Twilio's error dictionary. Source: https://www.twilio.com/docs/api/errors (2026-11-30)
DOCUMENT_PARSE_FAILURE = 12100
INVALID_ELEMENT = 12200
ATTRIBUTE_NOT_ALLOWED = 12300
MISSING_ATTRIBUTE = 12500
INVALID_STREAM_URL = 31920
#: [the number is not confirmed]
INVALID_RELAY_VALUE = 64101

_LONGEST_PARAMETER = 500


class BadTwiml(Exception):
    """A document that Twilio does not perform; ``number`` is of its error dictionary."""

    def __init__(self, number: int, message: str) -> None:  # noqa: D107 - the class says it
        super().__init__(f"{number}: {message}")
        self.number = number
        self.message = message


@dataclass(frozen=True, slots=True)
class Verb:
    """An element of a document. :meth:`get` knows the defaults."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: tuple[Verb, ...] = ()

    def get(self, attribute: str) -> str | None:
        """Give an attribute, or its default, or None."""
        return self.attributes.get(attribute, DEFAULTS.get(self.name, {}).get(attribute))

    def number(self, attribute: str) -> float:
        """Give an attribute that is a number."""
        return float(self.get(attribute) or 0)

    def is_on(self, attribute: str) -> bool:
        """Tell whether a flag is set."""
        return self.get(attribute) == "true"

    def parameters(self) -> dict[str, str]:
        """Give the <Parameter> children."""
        return {
            child.attributes["name"]: child.attributes["value"]
            for child in self.children
            if child.name == "Parameter"
        }


def parse(document: str, *, allow_plain_sockets: bool = False) -> tuple[Verb, ...]:
    """Read a document and give its verbs, or say what Twilio would say.

    ``allow_plain_sockets`` lets ``ws://`` addresses on loopback pass.
    """
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        raise BadTwiml(DOCUMENT_PARSE_FAILURE, "The document declares a type or entities.")
    try:
        root = ET.fromstring(document)  # noqa: S314 - entities were refused above
    except ET.ParseError as error:
        raise BadTwiml(DOCUMENT_PARSE_FAILURE, f"This is no XML: {error}.") from error
    if root.tag != "Response":
        raise BadTwiml(DOCUMENT_PARSE_FAILURE, f"The root is <{root.tag}>, not <Response>.")
    response = _read(root)
    for verb in _walk(response):
        _check_sockets(verb, allow_plain_sockets=allow_plain_sockets)
    return response.children


def _read(element: ET.Element) -> Verb:
    name = element.tag
    known = ELEMENTS[name]
    for attribute, value in element.attrib.items():
        check = known.attributes.get(attribute)
        if check is None:
            raise BadTwiml(ATTRIBUTE_NOT_ALLOWED, f"<{name}> has no attribute '{attribute}'.")
        if not check(value):
            raise BadTwiml(ATTRIBUTE_NOT_ALLOWED, f"<{name} {attribute}=…> may not be {value!r}.")
    for attribute in known.needs:
        if attribute not in element.attrib:
            raise BadTwiml(MISSING_ATTRIBUTE, f"<{name}> needs '{attribute}'.")
    for child in element:
        if child.tag not in known.children:
            raise BadTwiml(INVALID_ELEMENT, f"<{child.tag}> may not stand in <{name}>.")
    text = (element.text or "").strip()
    tails = "".join(child.tail or "" for child in element).strip()
    if tails or (text and not known.has_text):
        raise BadTwiml(INVALID_ELEMENT, f"Text may not stand in <{name}>.")
    verb = Verb(name, dict(element.attrib), text, tuple(map(_read, element)))
    _check_whole(verb)
    return verb


def _check_whole(verb: Verb) -> None:
    match verb.name:
        case "Connect" | "Start" | "Stop" if len(verb.children) != 1:
            raise BadTwiml(INVALID_ELEMENT, f"<{verb.name}> needs exactly one noun.")
        case "Dial" if not verb.text and not verb.children:
            raise BadTwiml(INVALID_ELEMENT, "<Dial> dials nobody.")
        case "Number" if not re.fullmatch(r"\+?\d{3,15}", verb.text):
            raise BadTwiml(13224, f"<Number> is no telephone number: {verb.text!r}.")
        case "Say" if not verb.text:
            raise BadTwiml(13520, "<Say> says nothing.")
        case "Redirect" if not verb.text:
            raise BadTwiml(11100, "<Redirect> needs an address.")
        case "Parameter" if sum(map(len, verb.attributes.values())) >= _LONGEST_PARAMETER:
            raise BadTwiml(ATTRIBUTE_NOT_ALLOWED, "A <Parameter> is longer than 500 characters.")
        case "Gather" if (
            verb.get("speechTimeout") == "auto" and verb.get("speechModel") != "default"
        ):
            raise BadTwiml(
                ATTRIBUTE_NOT_ALLOWED, "<Gather speechTimeout='auto'> goes with no speechModel."
            )
        case "ConversationRelay":
            _check_multi(verb)
        case _:
            pass


def _check_multi(relay: Verb) -> None:
    spoken = relay.get("ttsLanguage") or relay.get("language")
    heard = relay.get("transcriptionLanguage") or relay.get("language")
    if spoken == "multi" and relay.get("ttsProvider") != "ElevenLabs":
        raise BadTwiml(INVALID_RELAY_VALUE, "Only ElevenLabs speaks 'multi'.")
    if heard == "multi" and (
        relay.get("transcriptionProvider") != "Deepgram"
        or relay.get("speechModel") not in {None, "nova-2-general", "nova-3-general", "flux"}
    ):
        raise BadTwiml(INVALID_RELAY_VALUE, "Only Deepgram's general models hear 'multi'.")


def _check_sockets(verb: Verb, *, allow_plain_sockets: bool) -> None:
    if verb.name not in {"Stream", "ConversationRelay"} or not (url := verb.get("url")):
        return
    parts = urlsplit(url)
    is_plain = parts.scheme == "ws" and parts.hostname in {"127.0.0.1", "localhost"}
    number = INVALID_STREAM_URL if verb.name == "Stream" else ATTRIBUTE_NOT_ALLOWED
    if parts.scheme != "wss" and not (allow_plain_sockets and is_plain):
        raise BadTwiml(number, f"<{verb.name}> needs a wss address.")
    if verb.name == "Stream" and parts.query:
        raise BadTwiml(number, "The address of a <Stream> has no query string; use <Parameter>.")


def _walk(verb: Verb) -> Iterator[Verb]:
    yield verb
    for child in verb.children:
        yield from _walk(child)
