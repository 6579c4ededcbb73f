"""The admin application, handed from one world of a test to the next: fastapi takes 75 ms for its routes, and a thousand tests have one."""

import weakref
from collections import defaultdict
from dataclasses import fields
from typing import Any

from fastapi import FastAPI

from serving.api.admin import create_app
from serving.api.services import AdminServices, AdminSurface


class Standing:
    """Stands for one service: what is asked of it is asked of the one that the application's present world has."""

    def __init__(self) -> None:
        self._service: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def __call__(self, *arguments: Any) -> Any:
        return self._service(*arguments)

    def stand_for(self, service: object) -> None:
        self._service = service


class Handed:
    """An application, and what stands for its services."""

    def __init__(self, surface: AdminSurface) -> None:
        self.standing = {each.name: Standing() for each in fields(AdminServices)}
        self.app = create_app(AdminServices(**self.standing), surface)  # type: ignore[arg-type] # they stand for them

    def hand_to(self, services: AdminServices) -> None:
        for name, standing in self.standing.items():
            standing.stand_for(getattr(services, name))


_FREE: defaultdict[AdminSurface, list[Handed]] = defaultdict(list)


def handed_app(owner: object, services: AdminServices, surface: AdminSurface) -> FastAPI:
    """The application over these services, `owner`'s until it is gone."""
    free = _FREE[surface]
    handed = free.pop() if free else Handed(surface)
    handed.hand_to(services)
    weakref.finalize(owner, free.append, handed)
    return handed.app
