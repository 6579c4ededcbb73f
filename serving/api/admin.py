"""The admin application: its routes, its errors and its door, put together from what it is handed."""

from fastapi import FastAPI

from serving.api import problems
from serving.api.auditing import AuditRoutes
from serving.api.changing import ChangeRoutes
from serving.api.comparing import CompareRoutes
from serving.api.consuming import ConsumerRoutes
from serving.api.describing import DescribeRoutes
from serving.api.drilling import DrillRoutes
from serving.api.guards import AdminGuard
from serving.api.hinting import HintRoutes
from serving.api.keeping import KeepRoutes
from serving.api.noting import NoteRoutes
from serving.api.openapi import DESCRIPTION, TAGS
from serving.api.pairs import PairRoutes
from serving.api.policies import PolicyRoutes
from serving.api.promoting import PromotionRoutes
from serving.api.reading import FamilyRoutes
from serving.api.rollouts import RolloutRoutes
from serving.api.runbooks import RunbookRoutes
from serving.api.services import AdminServices, AdminSurface
from serving.api.storing import StoreRoutes
from serving.api.telling import NoticeRoutes
from serving.api.verifying import VerifyRoutes
from serving.api.watching import HealthRoutes, WatchRoutes


def create_app(services: AdminServices, surface: AdminSurface) -> FastAPI:
    """The admin API as an ASGI application; it keeps no state of its own."""
    app = FastAPI(
        title="Pointsman admin API",
        version=surface.version,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        # The stock pages load scripts from a CDN, which an admin listener must not; /openapi.json is there for every tool.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(FamilyRoutes(services.views, services.clock, services.callers, surface.environment).router(), prefix="/v1")
    app.include_router(CompareRoutes(services.views, services.manifests).router(), prefix="/v1")
    app.include_router(DescribeRoutes(services.views, services.manifests).router(), prefix="/v1")
    changes = ChangeRoutes(services.operations, services.entitlement)
    app.include_router(changes.router(), prefix="/v1")
    app.include_router(ConsumerRoutes(changes).router(), prefix="/v1")
    rollouts = RolloutRoutes(services.desk, services.rollouts, services.operations, services.entitlement)
    app.include_router(rollouts.router(), prefix="/v1")
    app.include_router(PolicyRoutes(services.rollouts).router(), prefix="/v1")
    app.include_router(DrillRoutes(services.drills, services.rehearsing, services.drill_book, services.entitlement).router(), prefix="/v1")
    app.include_router(RunbookRoutes(services.runbooks, services.entitlement, services.correspondence).router(), prefix="/v1")
    app.include_router(PromotionRoutes(services.promotions, services.entitlement).router(), prefix="/v1")
    app.include_router(StoreRoutes(services.reseeding, services.entitlement).router(), prefix="/v1")
    app.include_router(VerifyRoutes(services.verification).router(), prefix="/v1")
    app.include_router(PairRoutes(services.samples).router(), prefix="/v1")
    app.include_router(WatchRoutes(services, surface).router(), prefix="/v1")
    app.include_router(NoteRoutes(services.notes).router(), prefix="/v1")
    app.include_router(KeepRoutes(services.keeping, services.clock).router(), prefix="/v1")
    app.include_router(NoticeRoutes(services.correspondence).router(), prefix="/v1")
    app.include_router(HintRoutes(services.hints).router(), prefix="/v1")
    app.include_router(AuditRoutes(services.auditing).router(), prefix="/v1")
    app.include_router(HealthRoutes(services).router())
    problems.install(app)
    app.add_middleware(AdminGuard, hosts=surface.hosts)
    return app
