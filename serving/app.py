"""The application: all routes of the service, with its documentation at `/docs`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline

__all__ = ["create_app"]

DESCRIPTION = """\
Takes messages of devices, checks and normalises them, and puts them on a queue. The answer comes
when the queue has confirmed them.
"""


def create_app(routers: Sequence[APIRouter]) -> FastAPI:
    """The application made of some routes.

    Its documentation needs nothing from elsewhere: the scripts of its page come with it.
    """
    try:
        number = version("regional-means")
    except PackageNotFoundError:  # a checkout
        number = "0.1.0"
    app = FastAPIOffline(
        title="Regional means: serving", description=DESCRIPTION, version=number, redoc_url=None
    )
    for router in routers:
        app.include_router(router)
    return app
