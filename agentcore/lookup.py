"""Asks an endpoint's own catalog for the limits of models."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import anyio

from agentcore.catalog import CatalogFigures
from agentcore.catalog_store import MAX_BODY_BYTES, CatalogStore, Loaded
from agentcore.client import Client, RequestFailed
from agentcore.endpoint import Endpoint
from agentcore.errors import ConfigurationError
from agentcore.families import ModelFamily
from agentcore.providers import OpenRouter

__all__ = ["look_up", "look_up_all"]

ACCEPT = {"accept": "application/json"}
REFRESH_SECONDS = 86_400.0
"""How long an answer is used before the catalog is asked again."""
PATIENCE_SECONDS = 10.0
"""How long the catalog is waited for: it must not hold up a run."""


async def look_up(
    endpoint: Endpoint,
    family: ModelFamily,
    *,
    client: Client,
    store: CatalogStore,
    now: Callable[[], float] = time.time,
) -> CatalogFigures | None:
    """What is believed of the catalog's answer; None where the adapter does not ask one.

    No credential goes along: the catalogs that are read are public. A catalog that cannot be had is
    no failure, but a note: the family's figures hold then.

    Args:
        endpoint: Whose catalog, and of which model.
        family: Of the model.
        client: Opens the connection.
        store: Keeps the answers.
        now: Seconds since the epoch.
    """
    adapter, model = endpoint.adapter, endpoint.model
    path = adapter.catalog_path(model)
    if not path:
        return None
    at = now()
    loaded = await _load(adapter.base_url.rstrip("/") + path, client, store, at)
    figures = adapter.read_catalog(
        loaded.body, model, family, age_seconds=loaded.age_seconds, today=_day(at)
    )
    said = (loaded.note,) if loaded.note else ()
    if figures is None:
        missing = f"{model}: the catalog says nothing of it; the family's figures hold"
        return CatalogFigures(notes=said or (missing,), age_seconds=loaded.age_seconds)
    return replace(figures, notes=(*said, *figures.notes))


async def look_up_all(
    adapter: OpenRouter,
    *,
    client: Client,
    store: CatalogStore,
    now: Callable[[], float] = time.time,
) -> dict[str, CatalogFigures]:
    """What is believed of every model of the catalog, by its id: one host of each is listed.

    Raises:
        ConfigurationError: There is no catalog to be had, now or from before.
    """
    url = adapter.base_url.rstrip("/") + adapter.models_path
    at = now()
    loaded = await _load(url, client, store, at)
    listed = adapter.read_models(loaded.body, age_seconds=loaded.age_seconds, today=_day(at))
    if not listed:
        raise ConfigurationError(f"the catalog at {url}: {loaded.note or 'it lists no model'}")
    return listed


async def _load(url: str, client: Client, store: CatalogStore, now: float) -> Loaded:
    async def fetch() -> bytes:
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                return await client.get(url, headers=ACCEPT, max_bytes=MAX_BODY_BYTES)
        except RequestFailed as failed:
            raise failed.__cause__ or failed from None

    return await store.load(url, fetch, max_age_seconds=REFRESH_SECONDS, now=now)


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()
