"""What a result says of a unit: one vocabulary for all analyses that measure unit by unit."""

from __future__ import annotations

OK = "ok"
# Activity that is no number at some presentation: the unit is set aside whole.
NOT_FINITE = "not finite"
IS_CONSTANT = "constant"
FEW_LEVELS = "too few levels"
# float32 activity that varies by less than this part of a unit's scale is constant up to rounding.
CONSTANT = 1e-6
