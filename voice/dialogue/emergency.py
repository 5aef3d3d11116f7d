"""Callers in danger: what they hear first, and who they are put through to."""

from __future__ import annotations

import re

from mappings.event import Bucket, UrgencyLevel
from voice.analyse import signals, urgency
from voice.analyse.fold import folded
from voice.analyse.language import primary
from voice.analyse.rubric import Rubric, default_rubric, from_data
from voice.dialogue.types import Say, Talk
from voice.languages.emergency import spoken_number
from voice.profile import Profile

MEDICAL, FIRE_GAS, GENERAL = "emergency_medical", "emergency_fire_gas", "emergency_general"

#: Gas, fire and smoke in the words of many languages, folded; looked for only where there is a hazard at all.
_FIRE_GAS = re.compile(
    r"\b(?:gas|gaz\w*|gasu|gass\w*|kaasu\w*|fire|flames?|smok\w*|burning|incendi\w*|fuego|humo|quemad\w*|feu|fumee|"
    r"brule|feuer|brennt|rauch\w*|verbrannt\w*|fogo|fumac\w*|fumo|queimad\w*|fuoco|bruciato|brand\w*|rook|"
    r"pozar\w*|pali|dym\w*|spalenizn\w*|yangin\w*|yaniyor|duman\w*|eld|brinner|rok\w*|royk\w*|brann|savu\w*|palaa|"
    r"pozar|hori|kour\w*|incendiu|fum|tuz\w*|fust\w*|gaz\w*|vatra|dim|moto|moshi|sunog|usok|api|kebakaran|asap|"
    r"chay|khoi|khi ga)\b"
    r"|газ|пожар|пожеж|горит|горить|дим|дым|гар[иьу]|огън|φωτια|καπν|αεριο|καιγ|גז|אש|שריפה|עשן|"
    r"غاز|گاز|حريق|نار|دخان|آتش|اتش|دود|آگ|اگ|دھواں|گیس|گيس|आग|धुआ|धुआँ|गैस|আগুন|ধোঁয়া|গ্যাস|தீ|புகை|கேஸ்|"
    r"煤气|煤氣|燃气|燃氣|瓦斯|火|烟|煙|ガス|焦げ|가스|불이|불났|화재|연기|แก๊ส|ก๊าซ|ไฟไหม้|ควัน"
)


def kind(text: str, language: str, profile: Profile) -> str | None:
    """Give the emergency line that a text calls for, or None where nobody is in danger.

    Water and the like count only when the tenant's rubric makes them critical: a dripping tap is
    a plumber's daily bread.
    """
    found = signals.find(text, language)
    heard = {signal.kind for signal in found}
    if "resolved" in heard:
        return None
    if "life" in heard:
        return MEDICAL
    if "hazard" not in heard:
        return None
    if _FIRE_GAS.search(folded(text)):
        return FIRE_GAS
    score = urgency.score(found, bucket=Bucket.OTHER, rubric=rubric(profile))
    return GENERAL if score.level is UrgencyLevel.CRITICAL else None


def rubric(profile: Profile) -> Rubric:
    """Give the tenant's rubric; the vertical's default where it has none, or one that cannot be read."""
    if profile.rubric:
        try:
            return from_data(profile.rubric)
        except ValueError:
            return default_rubric(profile.vertical)
    return default_rubric(profile.vertical)


def text(talk: Talk, profile: Profile) -> Say:
    """Give what a caller in danger hears: the tenant's own text in their language, else the fixed line."""
    own = _own_text(talk.language, profile)
    if own:
        return Say(text=own, is_interruptible=False, is_fixed=True)
    line = talk.emergency or GENERAL
    number = spoken_number(talk.language, profile.number, kind=line)
    return Say(line, values={"emergency": number}, is_interruptible=False, is_fixed=True)


def _own_text(language: str, profile: Profile) -> str | None:
    texts = profile.emergency.texts
    if language in texts:
        return texts[language]
    return next((text for tag, text in texts.items() if primary(tag) == primary(language)), None)


def number(profile: Profile) -> str | None:
    """Give the number that callers in danger are put through to, if the tenant wants that."""
    if profile.escalation.critical != "transfer":
        return None
    return profile.emergency.number or profile.staff.transfer_to
