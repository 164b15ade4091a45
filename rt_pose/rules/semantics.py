"""The number of the rules' meaning, which every session bears, so that old sessions stay true.

What a rule decides follows from the language, the filter's tracks and the policy of events. Where a release
changes any of these, the number rises, and replay decides about an older session as that session did:

1   Sessions without a number. Each camera judges every rule by itself, with refractory times, holds and
    controls of its own. An order that lowers a rule's probability can make the rule fire. Angles are plain
    numbers; a track that holds NaN is not lost. An action that meets another on its line cuts it short.
2   A rule is one for all cameras. A condition that an order made true is used up (`order`). Angles are
    circular: differences wrap. A track that holds NaN is lost. An action that would meet another on its line
    is suppressed (`busy`). Caps count controls like stimuli.
"""

from __future__ import annotations

CURRENT = 2
FIRST = 1
ONE_RIG = 2
"""Rules belong to the rig, orders set off nothing, angles are circular, NaN is lost, lines can be busy."""
