"""Windows: how often the engine looks, how far it looks back, and for how long it remembers. All in seconds."""

from typing import Final

# --- How often it looks --------------------------------------------------------------------------------------------
HORIZONTAL_PERIOD_SECONDS: Final = 5.0
"""The published period of the number of pods."""
VERTICAL_PERIOD_SECONDS: Final = 30.0
"""The published period of the concurrency limit."""

# --- How far it looks back -----------------------------------------------------------------------------------------
LOOK_BACK_SECONDS: Final = 20.0
"""The published look-back for scaling up."""
KEPT_SECONDS: Final = 60.0
"""Buckets kept: three times the look-back."""
STRETCH_SECONDS: Final = 10.0
"""Stretches in which slow growth is looked for: half a look-back, so that they do not smear what the seconds show."""
STRETCHES_KEPT_SECONDS: Final = 300.0
"""The longest window of a scale-down."""
VARIABILITY_SECONDS: Final = 150.0
"""Time constant with which the variability of a rate and the height of noise are remembered: as exact as a plain mean
over twice that, the longest window of a scale-down."""

# --- How far it looks ahead ----------------------------------------------------------------------------------------
HORIZON_SECONDS_MAX: Final = 60.0
"""Farthest a trend is carried: the window in which it is measured."""

# --- How long it waits before pods go ------------------------------------------------------------------------------
SCALE_DOWN_SECONDS_MAX: Final = 300.0
"""The published scale-down window: the longest here."""
STARTS_REMEMBERED: Final = 2.0
"""Cold starts for which a need is remembered. A pod that must come back costs its start, and the service missing
meanwhile is valued at as much again; keeping it just as long as that costs at most twice the best hindsight could do
(ski rental, Karlin 1988)."""
RETURN_TOLERANCE: Final = 1.1
"""Times the window that would just have kept the pods of a load that returned: it returns so to a tenth of its time."""
LEARNED_SECONDS: Final = 3600.0
"""For how long a learned window, and misses that taught it, are believed without being taught again."""
CALM_SHARE: Final = 2.0 / 3.0
"""Share of the scale-down window that passes after a change before pods go: cuts that would follow each other are made
at once."""
IDLE_SECONDS: Final = 60.0
"""Least time without a request before the last pod goes, unless the spec says: the window of Knative."""
