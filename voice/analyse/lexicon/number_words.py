"""Write ``number_words.json``: how each language says 0 to 99, the hundreds and a thousand.

The words come from the rule-based number formats of Unicode CLDR, read through the development
package ``unicode-rbnf``. Run ``python -m voice.analyse.lexicon.number_words`` to write the file
again; nothing here runs when a voicemail is analysed.
"""

from __future__ import annotations

import json
from pathlib import Path

TARGET = Path(__file__).with_name("number_words.json")
NUMBERS = (*range(100), *range(100, 1001, 100))
#: Rule sets of inflected forms that nobody dictates a telephone number in.
UNSPOKEN = ("genitive", "dative", "locative", "ablative", "financial", "ordinal", "days", "year")
LANGUAGES = (
    "af am ar az be bg bs ca cs cy da de el en es et fa fi fil fr fr_CH ga he hi hr hu hy id is it "
    "ja ka kk km ko ky lb lo lt lv mk ms my ne nl nn pl pt pt_PT ro ru sk sl sq sr sr_Latn sv sw "
    "ta th tr uk vi yue zh zh_Hant zu"
)


def is_dictated(language: str, rule: str) -> bool:
    """Tell whether telephone numbers are dictated in the forms of this rule set."""
    if language in {"fi", "pl"}:
        return rule == "spellout-numbering"
    return not any(part in rule for part in UNSPOKEN)


def spoken_forms(language: str) -> dict[str, list[str]]:
    """Give the distinct spoken forms of every number, by the number's digits."""
    from unicode_rbnf import FormatPurpose, RbnfEngine  # noqa: PLC0415  # development package

    engine = RbnfEngine.for_language(language)
    forms: dict[str, list[str]] = {}
    for number in NUMBERS:
        said = engine.format_number(number, FormatPurpose.CARDINAL).text_by_ruleset
        kept = {
            text.replace("\u200b", "").replace("\u00ad", "")
            for rule, text in said.items()
            if is_dictated(language, rule) and not any(map(str.isdigit, text))
        }
        forms[str(number)] = sorted(kept)
    return forms


def main() -> None:
    """Write the file."""
    words = {language: spoken_forms(language) for language in LANGUAGES.split()}
    text = json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("},", "},\n")
    TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
