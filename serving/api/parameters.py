"""The parts of a request that several routes take, so that they are checked and described alike."""

from typing import Annotated

from fastapi import Depends, Path

from serving.api.preconditions import Caller, caller, expected_revision, stated_revision

Family = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,63}$", description="The model family.", examples=["digits"])]
Version = Annotated[str, Path(max_length=64, description="A published version.", examples=["1.1.0"])]
Asking = Annotated[Caller, Depends(caller)]
Expected = Annotated[int | None, Depends(expected_revision)]
Stated = Annotated[int | None, Depends(stated_revision)]
