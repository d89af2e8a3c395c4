"""What every path asks before it begins."""

from fastapi import Depends

from modelbus.catalog.api.conditions import refuse_unheeded
from modelbus.catalog.api.roles import guard

GUARDS = (Depends(guard), Depends(refuse_unheeded))
"""Of each noun's own router, not of one around them all, whose paths FastAPI compares three times over."""
