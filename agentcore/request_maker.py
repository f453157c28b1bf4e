"""What is asked next of an endpoint: the conversation as it reads it, by what is known of it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio.to_thread

from agentcore.catalog import CatalogFigures
from agentcore.catalog_store import CatalogStore
from agentcore.client import Client
from agentcore.endpoint import Endpoint, cache_folder
from agentcore.families import ModelFamily, family_of
from agentcore.history import (
    KeepUnder,
    MessageTokens,
    Section,
    as_told_elsewhere,
    compact,
    find_sections,
)
from agentcore.journal import RunState, StoredTurn
from agentcore.lookup import look_up
from agentcore.messages import Message, UserMessage
from agentcore.providers.base import Capabilities, ProviderAdapter, Request
from agentcore.providers.payload_cache import PayloadCache
from agentcore.recovery import Adjustments
from agentcore.settings import Settings
from agentcore.tools.files import read_below

__all__ = ["Learned", "RequestMaker"]

Learned: TypeAlias = dict[tuple[str, str], Adjustments]
"""(base URL, model) → what the endpoint refused: the largest cap that it takes, fields to leave out
or to rename. Known from then on, in all runs of an agent."""


@dataclass(slots=True, kw_only=True)
class RequestMaker:
    """Makes the requests of one run, and remembers what each endpoint refused."""

    client: Client
    """For the catalogs of endpoints."""
    learned: Learned
    asks_for_buffering: bool = False
    """The last answer's streamed arguments were no JSON: the next turn asks for whole ones."""
    _asked: tuple[str, str] | None = None
    """The base URL and the model that were asked last."""
    _learned_here: dict[tuple[str, str], int] = field(default_factory=dict)
    """Caps that are true for this run, as what a credit covers."""
    _figures: dict[tuple[str, str], CatalogFigures | None] = field(default_factory=dict)
    """What the endpoints' catalogs say, asked once a run."""
    _foreign: list[Message] = field(default_factory=list)
    """The oldest messages, told by or to another endpoint than this one, as this one can read them.
    """
    _ids: set[str] = field(default_factory=set)
    """Ids of the calls in the first `_ids_of` messages."""
    _ids_of: int = 0
    _cached: tuple[tuple[ProviderAdapter, str, Capabilities], PayloadCache] | None = None
    """What was made of the conversation for the adapter and the model that were asked last."""
    _tokens: MessageTokens = field(default_factory=MessageTokens)

    async def make(
        self, endpoint: Endpoint, conversation: Sequence[Message], settings: Settings
    ) -> Request:
        """What is asked next of an endpoint."""
        learned = self.learned.get(endpoint.place, Adjustments())
        caps = [
            cap
            for cap in (learned.output_limit, self._learned_here.get(endpoint.place))
            if cap is not None
        ]
        family = family_of(endpoint.model)
        request = Request(
            model=endpoint.model,
            family=family,
            adjustments=replace(
                learned, output_limit=None, tool_streaming=not self.asks_for_buffering
            ),
            messages=tuple(self._as_told(conversation, endpoint)),
            tools=tuple(tool.spec for tool in settings.tools),
            max_output_tokens=settings.max_output_tokens,
            learned_output_tokens=min(caps, default=None),
            catalog=await self._look_up(endpoint, family),
            cache=self._cache_for(endpoint),
        )
        window = endpoint.adapter.context_window(request)
        messages = await self._messages(request.messages, settings, window)
        return request if messages is request.messages else replace(request, messages=messages)

    def ids_in(self, conversation: Sequence[Message]) -> Set[str]:
        """Ids of all calls of the conversation, which only grows."""
        for message in conversation[self._ids_of :]:
            if message.role == "assistant":
                self._ids.update(call.id for call in message.tool_calls)
        self._ids_of = len(conversation)
        return self._ids

    def learn(self, adapter: ProviderAdapter, request: Request) -> None:
        """Remember what the endpoint refused, for as long as it is true.

        Another run of the same agent may have learned something else meanwhile.

        Args:
            adapter: The endpoint.
            request: As it was made last, with all adjustments.
        """
        place = (adapter.base_url, request.model)
        made, known = request.adjustments, self.learned.get(place, Adjustments())
        limit = known.output_limit
        if made.output_limit is not None and made.limit_lasts == "agent":
            limit = min(made.output_limit, limit or made.output_limit)
        if made.output_limit is not None and made.limit_lasts == "run":
            self._learned_here[place] = made.output_limit
        self.learned[place] = Adjustments(
            output_limit=limit,
            cap_parameter=made.cap_parameter or known.cap_parameter,
            switch_refused=made.switch_refused or known.switch_refused,
            omitted=made.omitted | known.omitted,
        )

    def recall(self, conversation: Sequence[Message], state: RunState) -> None:
        """Another process has asked until now: what it was told stands in the journal.

        Args:
            conversation: All messages so far.
            state: What the rows come to.
        """
        place: tuple[str, str] | None = None
        foreign, count = 0, len(state.opening)
        for turn in state.turns:
            if isinstance(turn, StoredTurn):
                if turn.record is not None:
                    asked = (turn.record.base_url, turn.record.model)
                    foreign = count if place not in (None, asked) else foreign
                    place = asked
                count += len(turn.messages())
            elif isinstance(turn, UserMessage):
                count += 1
        self._foreign = as_told_elsewhere(conversation[:foreign])
        self._asked = place

    async def _look_up(self, endpoint: Endpoint, family: ModelFamily) -> CatalogFigures | None:
        if not endpoint.adapter.catalog_path(endpoint.model):
            return None
        if endpoint.place not in self._figures:
            # Its answers are kept for all runs of the user.
            store = CatalogStore(cache_folder() / "catalog")
            self._figures[endpoint.place] = await look_up(
                endpoint, family, client=self.client, store=store
            )
        return self._figures[endpoint.place]

    def _as_told(self, conversation: Sequence[Message], endpoint: Endpoint) -> list[Message]:
        """The conversation, without what only the endpoint before this one can read."""
        if self._asked not in (None, endpoint.place):
            self._foreign = as_told_elsewhere(conversation)
        self._asked = endpoint.place
        return [*self._foreign, *conversation[len(self._foreign) :]]

    def _cache_for(self, endpoint: Endpoint) -> PayloadCache:
        """What requests to this endpoint have made of the conversation."""
        asked = (endpoint.adapter, endpoint.model, endpoint.adapter.capabilities)
        if self._cached is None or self._cached[0] != asked:
            self._cached = asked, PayloadCache()
        return self._cached[1]

    async def _messages(
        self, messages: tuple[Message, ...], settings: Settings, window_tokens: int | None
    ) -> tuple[Message, ...]:
        """The messages of the next request, as the history hook decides."""
        if not isinstance(settings.history, KeepUnder):
            return tuple(settings.history(messages))
        specs = [tool.spec for tool in settings.tools]
        limit = settings.history.limit_tokens(window_tokens, specs)
        if limit is None or self._tokens.of(messages) <= limit:
            return messages
        drafts = {tool.name: tool.draft for tool in settings.tools if tool.draft}
        targets = {tool.name: tool.writes for tool in settings.tools if tool.writes}

        def find() -> dict[str, Section]:
            return find_sections(
                messages,
                draft_arguments=drafts,
                path_arguments=targets,
                read=lambda path: read_below(settings.workspace, path),
            )

        return compact(
            messages,
            limit_tokens=limit,
            sections=await anyio.to_thread.run_sync(find),
            draft_arguments=drafts,
        )
