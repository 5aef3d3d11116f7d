"""The sizes that the mapping language allows; a mapping beyond them is refused with its path.

They are far above what mappings need and keep a hostile or generated document from costing
anybody time: reading, checking and rendering are linear in these sizes.
"""

from __future__ import annotations

from typing import Final

#: Bytes of a document's text, as UTF-8.
MAX_TEXT_BYTES: Final = 65_536
#: Levels of nesting in a document's text.
MAX_DEPTH: Final = 12
#: Steps of a mapping.
MAX_STEPS: Final = 20
#: Target fields that one step sets.
MAX_TARGETS: Final = 200
#: Ways to find an existing record that one step tries.
MAX_MATCHES: Final = 5
#: Fields that must all be equal in one of these ways.
MAX_MATCH_FIELDS: Final = 5
#: Conditions of a mapping, the nested ones counted.
MAX_CONDITIONS: Final = 50
#: Levels of ``any`` and ``all`` inside each other.
MAX_CONDITION_DEPTH: Final = 4
#: Values of one ``in`` or ``not_in``.
MAX_CONDITION_VALUES: Final = 100
#: Paths of one ``from``.
MAX_PATHS: Final = 10
#: Conversions of one ``as``.
MAX_CONVERSIONS: Final = 4
#: Entries of one ``choose`` table.
MAX_CHOICES: Final = 200
#: Entries of one ``list``, and of a list under ``value``.
MAX_ITEMS: Final = 50
#: Characters of one ``text`` template.
MAX_TEMPLATE_CHARS: Final = 10_000
#: Chips of one ``text`` template.
MAX_CHIPS: Final = 50
#: Characters of a literal (``value``, ``or``, ``else``, outcomes of ``choose``).
MAX_LITERAL_CHARS: Final = 32_000
#: The largest ``max``.
MAX_MAX_CHARS: Final = 131_072
#: Characters of a path of the event.
MAX_PATH_CHARS: Final = 200
#: Characters of a step's id.
MAX_ID_CHARS: Final = 40
#: Characters of an object's or target field's name.
MAX_NAME_CHARS: Final = 200
#: The largest whole number either way: beyond it JSON readers disagree (2^53 - 1).
MAX_NUMBER: Final = 9_007_199_254_740_991
