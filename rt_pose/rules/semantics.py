"""The number of the rules' meaning, which every session bears, so that old sessions stay true.

What a rule decides follows from the language, the filter's tracks and the policy of events. Where a release
changes any of these, the number rises, and replay decides about an older session as that session did:

1   Sessions without a number. Each camera judges every rule by itself, with refractory times, holds and
    controls of its own. An order that lowers a rule's probability can make the rule fire. Angles are plain
    numbers; a track that holds NaN is not lost. An action that meets another on its line cuts it short.
2   A rule is one for all cameras. A condition that an order made true is used up (`order`). Angles are
    circular: differences wrap. A track that holds NaN is lost. An action that would meet another on its line
    is suppressed (`busy`). Caps count controls like stimuli.
3   What is not known is neither true nor false: `not` of it is not known either. A camera that comes back has
    its place on the rig's time again, and blocks go by the rig's time. A time without a frame breaks a hold.
    Edges of inputs from before a camera's first frame count for nothing. Disarming frees the lines at once,
    whether or not a frame comes before `arm`. Yoked times that passed long before a frame came are late.
4   A stamp that runs ahead of the host's clock moves the run's time only if the frames after it go on from
    there; an exposure lies in the 10 s before its frame's arrival, for places on the rig's time and for yoked
    times. Beyond the horizon of a homography, and where a lens cannot be inverted, there are no mm. A
    keypoint that was lost has not crossed a line meanwhile.
"""

from __future__ import annotations

CURRENT = 4
FIRST = 1
ONE_RIG = 2
"""Rules belong to the rig, orders set off nothing, angles are circular, NaN is lost, lines can be busy."""
KNOWN = 3
"""Only what was seen counts: nothing unknown, no gap in a hold, no edge from before the first frame."""
POSSIBLE = 4
"""Only what can be so counts: no stamp from the future, no place beyond the horizon, no path unseen."""
