"""What a filter could go on with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from ..completion import Field, Words, complete
from .common import aside, table

router = APIRouter(prefix="/api", tags=["tables"])


@router.get("/complete")
async def completions(
    request: Request, field: Field,
    text: Annotated[str, Query(max_length=4096, description="The filter up to the caret.")] = "",
) -> dict[str, Any]:  # fmt: skip
    """Completions of a filter, of its language and of what is in the flow table. Each replaces the text from
    ``begin`` on."""
    loaded = table(request)
    made = await aside(lambda: complete(Words(loaded, loaded.words.get), field, text))
    return {
        "begin": made.begin,
        "items": [{"text": i.text, "shown": i.shown, "note": i.note} for i in made.items],
    }
