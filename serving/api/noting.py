"""The route that shows what was found out about a version after it was published."""

from fastapi import APIRouter
from pydantic import Field

from serving.api.openapi import READ_ERRORS
from serving.api.parameters import Family, Version
from serving.api.schemas import Document
from serving.ports import Notes


class NoteOut(Document):
    """What somebody found out about a version."""

    version: str = Field(examples=["1.1.0"])
    digest: str = Field(description="Of the manifest that the note is about.", examples=["0" * 64])
    text: str = Field(examples=["calibrated on the older scanner"])
    by: str = Field(examples=["ada"])
    at: str = Field(examples=["2030-01-02T03:04:05Z"])


class NotesOut(Document):
    """The notes of a version, the oldest first."""

    notes: list[NoteOut]


class NoteRoutes:
    """One method per route."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def router(self) -> APIRouter:
        """The routes, to be mounted under /v1."""
        router = APIRouter(tags=["families"])
        path, summary = "/families/{family}/versions/{version}/notes", "What was found out about a version later"
        router.add_api_route(path, self.notes, operation_id="listNotes", summary=summary, responses=READ_ERRORS)
        return router

    async def notes(self, family: Family, version: Version) -> NotesOut:
        """Who noted what about a version, and when, the oldest first. Notes are appended, never changed."""
        found = await self._notes.notes(family, version)
        return NotesOut(notes=[NoteOut(version=one.version, text=one.text, by=one.by, at=one.at, digest=one.digest) for one in found])
