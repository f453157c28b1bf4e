"""The table that names failures. One row, one reason; read from the top, the first that fits wins.

Strengths ascend: *specific* structure, then *wording*, then the *default* of a status or an exception.
Within a strength the order is that of consequence: what must not be retried stands first.
"""

from dataclasses import dataclass
from typing import Final

from agentcore.facts import Surface
from agentcore.kinds import ErrorKind, Strength

__all__ = ["ERROR_RULES", "ErrorRule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """One row: every condition that is given must hold; within one, any item is enough."""

    name: str
    kind: ErrorKind
    strength: Strength
    why: str
    """One line: why this evidence means this kind."""
    surfaces: tuple[Surface, ...] = ()
    statuses: tuple[int, ...] = ()
    status_class: int | None = None
    """Hundreds digit of the status: 4 stands for 400 to 499."""
    words: tuple[str, ...] = ()
    """Codes, types or reasons, compared whole with `ErrorFacts.reasons`; case and punctuation do
    not count (`RateLimitExceeded` is `rate_limit_exceeded`)."""
    reason_patterns: tuple[str, ...] = ()
    """Regular expressions, searched in each of `ErrorFacts.reasons`."""
    exceptions: tuple[str, ...] = ()
    """Class names, compared with the last part of `ErrorFacts.exceptions`, on any link."""
    phrases: tuple[str, ...] = ()
    """Regular expressions, case ignored, fenced so that they match whole words only."""
    vetoes: tuple[str, ...] = ()
    """Phrases that forbid the row."""
    min_wait: float | None = None
    """Seconds: the endpoint asks for a wait at least as long."""
    prompt_fits: bool | None = None
    """The refusal names window and prompt, and the prompt alone fits (True) or does not (False)."""
    sources: tuple[str, ...] = ()
    """Who is known to say it so. A wording row names two, or its `why` says why one is enough."""
    makes_transient: bool = False
    """An adapter's row may only with this turn what the table calls `auth` or `quota` into a kind
    that is tried again."""


_SPECIFIC = Strength.SPECIFIC
_WORDING = Strength.WORDING
_DEFAULT = Strength.DEFAULT
_K = ErrorKind

_REFUSED = (400, 402, 403, 412, 413, 422, 429, 500, 502, 503)
_THROTTLED = (403, 429, 503)
_PER_DAY = (
    r"(?:per|a|each|every)[ -](?:day|week|month)", r"\d /? ?(?:day|week|month)", r"/ ?(?:day|week|month)",
    r"per 86400 ?s(?:econds)?", r"[a-z]{1,40}by(?:day|month)", r"(?:daily|weekly|monthly|annual|hourly)",
    r"(?:rpd|tpd)", r"(?:free-models-)?per-day", r"hour quota", r"month_?ly_\w+", r"[57]-?h(?:our)?",
    r"(?:usage|spending|spend|billing) (?:limit|cap|cycle)s?", r"每[日天周月]", r"[当今本][日天周月]",
)  # fmt: skip
_TIMEOUT_ERRORS = (
    "APITimeoutError", "ConnectTimeout", "ConnectionTimeout", "PoolTimeout", "ReadTimeout",
    "ReadTimeoutError", "ConnectTimeoutError", "ServerTimeoutError", "SocketTimeoutError", "Timeout",
    "TimeoutError", "TimeoutException", "WriteTimeout", "DeadlineExceeded", "GatewayTimeout",
    "HeadersTimeoutError", "BodyTimeoutError",
)  # fmt: skip
_CONNECTION_ERRORS = (
    "APIConnectionError", "BrokenPipeError", "BrokenResourceError", "ChunkedEncodingError",
    "ClientConnectionError", "ClientConnectorError", "ClientOSError", "ClientPayloadError",
    "ClosedResourceError", "ConnectError", "ConnectionAbortedError", "ConnectionClosedError",
    "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "EndOfStream",
    "EndpointConnectionError", "IncompleteRead", "LocalProtocolError", "NetworkError",
    "NewConnectionError", "ProtocolError", "ProxyConnectionError", "ReadError", "RemoteProtocolError",
    "ResponseStreamingError", "SSLEOFError", "SSLError", "SSLZeroReturnError",
    "ServerDisconnectedError", "SocketError", "TransportError", "WriteError", "gaierror",
)  # fmt: skip

ERROR_RULES: Final[tuple[ErrorRule, ...]] = (
    # === specific: structure with one meaning ================================================
    ErrorRule(
        name="cancelled-exception",
        kind=_K.CANCELLED,
        strength=_SPECIFIC,
        why="a task was cancelled; no endpoint raises this",
        exceptions=("CancelledError", "Cancelled", "KeyboardInterrupt"),
    ),
    ErrorRule(
        name="certificate",
        kind=_K.INVALID_REQUEST,
        strength=_SPECIFIC,
        why="a trust store does not mend itself: a fresh connection fails the same way",
        exceptions=("SSLCertVerificationError", "CertificateError", "ClientConnectorCertificateError"),
    ),
    ErrorRule(
        name="wrong-address",
        kind=_K.INVALID_REQUEST,
        strength=_SPECIFIC,
        why="the base URL cannot be used; no attempt changes it",
        exceptions=("UnsupportedProtocol", "InvalidURL", "MissingSchema", "InvalidSchema"),
    ),
    ErrorRule(
        name="prompt-over-window",
        kind=_K.CONTEXT_OVERFLOW,
        strength=_SPECIFIC,
        why="the figures say that the prompt alone does not fit",
        prompt_fits=False,
    ),
    ErrorRule(
        name="cap-over-window",
        kind=_K.OUTPUT_LIMIT,
        strength=_SPECIFIC,
        why="the figures say that the prompt fits: the cap is what is too large",
        prompt_fits=True,
    ),
    ErrorRule(
        name="context-length-code",
        kind=_K.CONTEXT_OVERFLOW,
        strength=_SPECIFIC,
        why="codes for a prompt over the window",
        words=(
            "context_length_exceeded", "model_context_window_exceeded", "exceed_context_size_error",
            "context_window_exceeded", "string_above_max_length", "tokens_limit_reached",
            "max_prompt_tokens_exceeded", "prompt_too_long",
            "input_too_long", "model_max_prompt_tokens_exceeded", "context_length_error", "context_too_long",
            "prompt_tokens_exceeded", "request_context_too_large", "context_size_exceeded", "1261", "base_resp:1039", "ContextWindowExceededError",
        ),
    ),
    ErrorRule(
        name="can-only-afford",
        kind=_K.OUTPUT_LIMIT,
        strength=_SPECIFIC,
        why="a refusal that prices the cap, and names the cap that the credit covers",
        phrases=(r"can only afford [1-9][\d,]*",),
        sources=("OpenRouter",),
    ),
    ErrorRule(
        name="cap-figures",
        kind=_K.OUTPUT_LIMIT,
        strength=_SPECIFIC,
        why="the cap's own parameter beside the figure that is allowed",
        phrases=(
            r"max_?(?:output_|completion_|new_)?tokens\W+(?:is )?too (?:large|high|big)",
            r"max_?(?:output_|completion_|new_)?tokens\W+\d{1,12} > \d{1,12}",
            r"(?:max_?(?:output_|completion_|new_)?tokens|maxOutputTokens)\b.{0,60}?"
            r"(?:at most|<=|≤|less than or equal to|(?:must )?not exceed|cannot exceed|不能超过) ?\d{1,12}",
            r"(?:range of |invalid )max_?(?:output_|completion_)?tokens\b.{0,40}?\[?\d{1,12}, ?\d{1,12}",
            r"max_?(?:output_?|completion_?)?tokens\b.{0,60}?(?:between|range(?: is)?(?: from)?|from) \W?\d{1,12}",
            r"max_?(?:output_?|completion_?)?tokens(?:=\d{1,12})? (?:cannot|must not|can't) be (?:greater|larger|more) than",
            r"supports at most \d{1,12} (?:completion|output) tokens",
        ),
        vetoes=(r"required key",),
        sources=("OpenAI", "Anthropic", "DashScope", "Groq", "Google"),
    ),
    ErrorRule(
        name="request-over-rate-window",
        kind=_K.REQUEST_TOO_LARGE,
        strength=_SPECIFIC,
        why="one single request is larger than the whole rate window: no wait helps",
        phrases=(
            r"request too large for (?:model )?\S+ .{0,120}?(?:tpm|tokens per min)",
            r"reduce your message size",
        ),
        sources=("Groq", "OpenAI"),
    ),
    ErrorRule(
        name="credit-code",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="codes that speak of money or a plan, whatever the status",
        words=(
            "insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
            "insufficient_credits", "insufficient_balance", "insufficient_user_quota",
            "openrouter_key_limit", "openrouter_credits", "quota_exceeded", "quota_exceeded_error",
            "exceeded_current_quota_error", "Arrearage", "AccountOverdueError", "payment_required",
            "credit_balance_too_low", "credits_exhausted", "free_tier_exhausted",
            "pre_consume_token_quota_failed", "billing_error", "SetLimitExceeded", "QuotaExceeded",
            "ServiceQuotaExceededException", "usage_limit_reached", "usage_limit_exceeded",
            "FreeTierOnly", "monthly_request_count", "base_resp:1008", "base_resp:2056", "1113",
            "1308", "1309", "1310", "budget_exceeded", "BudgetExceededError", "no_credits",
            "out_of_credits", "spend_limit_exceeded",
        ),
        vetoes=(r"can only afford",),
    ),
    ErrorRule(
        name="credit-reason",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="a reason built of money words, or a quota counted by the day",
        reason_patterns=(
            r"insufficient\w*(?:credit|balance|quota|fund)", r"perday", r"per_?month", r"freetier\w*only",
            r"(?:credit|balance|fund)s?_?(?:exhausted|depleted|too_low|insufficient)",
            r"monthly|daily_?(?:limit|quota)", r"arrear", r"overdue", r"billing",
        ),
    ),
    ErrorRule(
        name="in-flight-budget",
        kind=_K.RATE_LIMIT,
        strength=_SPECIFIC,
        why="OpenRouter holds the price of running requests: it passes when one of them ends",
        words=("openrouter_in_flight_budget", "in_flight_budget_exhausted"),
    ),
    ErrorRule(
        name="content-policy-code",
        kind=_K.CONTENT_POLICY,
        strength=_SPECIFIC,
        why="codes of moderation",
        words=(
            "content_policy_violation", "content_filter", "content_filtered", "moderation_blocked",
            "data_inspection_failed", "safety", "refusal", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII",
            "RECITATION", "IMAGE_SAFETY", "ResponsibleAIPolicyViolation", "content_moderation",
            "SensitiveContentDetected", "sensitive_words_detected", "content_policy", "1301",
            "base_resp:1026", "base_resp:1027", "invalid_prompt", "content_blocked",
            "guardrail_intervened", "ContentPolicyViolationError", "ContentFilterFinishReasonError",
            "prompt_blocked", "input_sensitive", "content_violation", "policy_violation", "OTHER_BLOCKED", "moderation_error", "cyber_policy_violation",
        ),
    ),
    ErrorRule(
        name="day-window",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="a window of a day, a month or a plan does not pass while a loop waits",
        statuses=_THROTTLED,
        phrases=_PER_DAY,
        vetoes=(r"per[ -]minute", r"per[ -]second", r"(?:tpm|rpm|qps)"),
        sources=("OpenRouter", "Google", "Alibaba", "Hugging Face", "Cloudflare"),
    ),
    ErrorRule(
        name="day-window-in-words",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="used up, limit or quota beside a window of a day, a month or a plan",
        phrases=tuple(
            form
            for window in (r"(?:daily|monthly|weekly|per[- ]day|per[- ]month|hour(?:ly)?)",)
            for form in (
                rf"{window}[\w ,\-]{{0,40}}(?:limit|quota|cap|allocation|allowance|credits?|usage|requests)",
                rf"(?:limit|quota|cap|allocation|allowance|credits?)[\w ,\-(]{{0,40}}{window}",
            )
        ),
        vetoes=(r"per[ -]minute", r"(?:tpm|rpm|qps)"),
        sources=("OpenRouter", "Baidu", "Cloudflare", "Hugging Face"),
    ),
    ErrorRule(
        name="hours-to-wait",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="a wait of an hour or more is a window that a loop does not sit out",
        min_wait=3600.0,
    ),
    ErrorRule(
        name="zero-limit",
        kind=_K.QUOTA,
        strength=_SPECIFIC,
        why="a limit of zero is no rate: the plan does not include it",
        phrases=(r"limit: 0(?![\d.])", r"limit of 0 "),
        sources=("Google", "OpenAI"),
    ),
    ErrorRule(
        name="auth-code",
        kind=_K.AUTH,
        strength=_SPECIFIC,
        why="codes of a refused key, account, region or permission",
        words=(
            "invalid_api_key", "authentication_error", "invalid_authentication_error", "AppIdNoAuthError",
            "invalid_grant", "invalid_token", "token_expired", "expired_token",
            "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException",
            "InvalidSignatureException", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED",
            "CONSUMER_INVALID", "IAM_PERMISSION_DENIED", "SERVICE_DISABLED", "account_deactivated",
            "unsupported_country_region_territory", "invalid_organization",
            "account_suspended", "InvalidApiKey", "AccessDenied.Unpurchased", "no_api_key",
            "mismatched_organization", "invalid_client", "authentication_failed",
            "base_resp:1004", "base_resp:2049",
            "organization_deactivated", "user_deactivated", "missing_api_key",
            "AuthenticationFailed", "InvalidSubscription", "not_authorized", "ip_not_authorized",
        ),
    ),
    ErrorRule(
        name="no-credentials",
        kind=_K.AUTH,
        strength=_SPECIFIC,
        why="the client itself found no credentials to send, or could not renew them",
        exceptions=(
            "NoCredentialsError", "PartialCredentialsError", "CredentialsProviderError",
            "DefaultCredentialsError", "RefreshError", "TokenRetrievalError", "SSOTokenLoadError",
            "UnauthorizedSSOTokenError", "LoadAPIKeyError", "ProxyAuthenticationRequired",
        ),
    ),
    ErrorRule(
        name="model-not-found-code",
        kind=_K.NOT_FOUND,
        strength=_SPECIFIC,
        why="codes of an unknown model, deployment or route",
        words=(
            "model_not_found", "DeploymentNotFound", "ModelNotFound",
            "ModelNotOpen", "InvalidEndpointOrModel.NotFound", "ResourceNotFoundException",
            "model_not_available", "unknown_model", "invalid_model", "no_such_model",
            "unsupported_model", "1211", "model_not_supported", "model_decommissioned",
            "model_terms_required", "ModelNotExist", "resource_not_found_error",
            "model_deprecated", "endpoint_not_found", "unknown_url",
        ),
    ),
    ErrorRule(
        name="too-large-code",
        kind=_K.REQUEST_TOO_LARGE,
        strength=_SPECIFIC,
        why="a payload too big in bytes",
        words=("request_too_large", "payload_too_large", "request_entity_too_large", "body_too_large"),
    ),
    ErrorRule(
        name="overloaded-code",
        kind=_K.OVERLOADED,
        strength=_SPECIFIC,
        why="types and codes for a provider without capacity",
        words=(
            "overloaded_error", "overloaded", "server_overloaded", "engine_overloaded",
            "engine_overloaded_error", "529", "ServerOverloaded", "ModelNotReadyException",
            "provider_unavailable", "provider_overloaded", "1305", "1312", "capacity_exceeded",
            "model_overloaded", "no_capacity", "service_unavailable_error", "system_busy",
            "base_resp:1001:busy", "slow_down", "model_at_capacity", "insufficient_capacity",
            "system_cpu_overloaded", "system_memory_overloaded", "system_disk_overloaded",
        ),
    ),
    ErrorRule(
        name="status-529",
        kind=_K.OVERLOADED,
        strength=_SPECIFIC,
        why="529 has one meaning wherever it is used",
        statuses=(529,),
    ),
    ErrorRule(
        name="rate-limit-code",
        kind=_K.RATE_LIMIT,
        strength=_SPECIFIC,
        why="codes of a rate by the second or the minute, or of requests at once",
        words=(
            "Throttling.RateQuota", "Throttling.BurstRate", "rpm_rate_limit_exceeded",
            "tpm_rate_limit_exceeded", "RequestBurstTooFast", "limit_burst_rate", "11202", "11203",
            "AppIdQpsOverFlowError", "qps_limit", "1302", "1303", "concurrency_limit_exceeded",
            "base_resp:1002", "base_resp:1041", "tokens_per_minute", "requests_per_minute",
            "rate_limit_reached_error", "RequestLimitExceeded.Burst", "LimitBurstRate",
        ),
    ),
    ErrorRule(
        name="rate-limit-reason",
        kind=_K.RATE_LIMIT,
        strength=_SPECIFIC,
        why="a quota counted by the minute, in the reason's own name",
        reason_patterns=(r"perminute", r"per_minute", r"qps", r"concurren", r"(?:rpm|tpm)_?rate_?limit"),
    ),
    ErrorRule(
        name="model-output-code",
        kind=_K.SERVER_ERROR,
        strength=_SPECIFIC,
        why="the server could not parse what its own model wrote; a new sample often passes",
        words=(
            "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "tool_use_failed",
            "json_validate_failed", "output_parse_failed", "ModelStreamErrorException",
            "malformed_tool_call", "ModelErrorException",
        ),
    ),
    ErrorRule(
        name="timeout-code",
        kind=_K.TIMEOUT,
        strength=_SPECIFIC,
        why="codes for a clock that ran out",
        words=(
            "timeout", "timeout_error", "request_timeout", "gateway_timeout", "deadline_exceeded",
            "ModelTimeoutException", "upstream_timeout", "ETIMEDOUT", "ESOCKETTIMEDOUT",
            "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT",
            "idle_timeout", "stream_idle_timeout", "RequestTimeOut",
        ),
    ),
    ErrorRule(
        name="timeout-exception",
        kind=_K.TIMEOUT,
        strength=_SPECIFIC,
        why="a clock of the HTTP stack ran out",
        exceptions=_TIMEOUT_ERRORS,
    ),
    ErrorRule(
        name="gateway-timeout",
        kind=_K.TIMEOUT,
        strength=_SPECIFIC,
        why="statuses that only gateways and servers use for a clock that ran out",
        statuses=(408, 504, 522, 524),
    ),
    ErrorRule(
        name="connection-code",
        kind=_K.CONNECTION,
        strength=_SPECIFIC,
        why="the socket's own words",
        words=(
            "ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "EPIPE", "ENOTFOUND", "EAI_AGAIN",
            "UND_ERR_SOCKET", "ENETUNREACH", "EHOSTUNREACH", "ERR_STREAM_PREMATURE_CLOSE",
            "connection_lost", "ECONNCLOSED", "UND_ERR_CONNECT", "upstream_disconnected", "stream_disconnected",
        ),
    ),
    ErrorRule(
        name="truncated-code",
        kind=_K.TRUNCATED,
        strength=_SPECIFIC,
        why="the cap cut the answer",
        surfaces=(Surface.FINISH,),
        words=("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"),
    ),
    # === wording: fenced phrases, with vetoes ================================================
    ErrorRule(
        name="cancelled-text",
        kind=_K.CANCELLED,
        strength=_WORDING,
        why="the caller's own wish, in words",
        phrases=(
            r"(?:cancel\w*|abort\w*|interrupted|stopped) by (?:the )?(?:user|caller|client)",
            r"(?:user|caller) (?:cancel\w*|abort\w*|interrupted|stopped)(?: \w+)?",
            r"(?:request|operation) was (?:cancel\w*|aborted)(?: by \w+)?",
            r"(?:signal|this operation) (?:is|was) aborted(?: without reason)?",
            r"AbortError", r"aborted: ?the user",
        ),
        vetoes=(r"time[d ]?-?out", r"deadline", r"HttpClient\.Timeout", r"upstream"),
        sources=("undici", "openai-node", "asyncio"),
    ),
    ErrorRule(
        name="certificate-text",
        kind=_K.INVALID_REQUEST,
        strength=_WORDING,
        why="a trust store does not mend itself",
        phrases=(
            r"certificate verify failed", r"self[- ]signed certificate", r"CERTIFICATE_VERIFY_FAILED",
            r"unable to (?:get|verify) (?:the )?(?:local )?(?:issuer|first) certificate",
            r"certificate has expired",
        ),
        sources=("OpenSSL", "Node.js"),
    ),
    ErrorRule(
        name="wrong-address-text",
        kind=_K.INVALID_REQUEST,
        strength=_WORDING,
        why="the base URL cannot be used, or leads to a page that is no API",
        phrases=(
            r"missing an? 'http", r"UnsupportedProtocol", r"invalid url", r"no scheme supplied",
            r"'str' object has no attribute '(?:model_dump|choices|\w+)'", r"unsupported protocol scheme",
        ),
        sources=("httpx", "openai-python", "requests"),
    ),
    ErrorRule(
        name="credit-text",
        kind=_K.QUOTA,
        strength=_WORDING,
        why="money or a plan is named",
        phrases=(
            r"insufficient (?:\w+ ){0,2}(?:credits?|balance|funds|quota)", r"credit balance is too low",
            r"requires? (?:\w+ )?more credits", r"exceeded your current quota", r"out of credits?",
            r"(?:run|ran) out of (?:\w+ ){0,2}(?:credits?|funds|quota|tokens)", r"no (?:credits?|balance) (?:left|remaining)",
            r"(?:add|purchase|buy|top[- ]?up|recharge)(?: \w+){0,3} (?:credits?|balance|funds|account)",
            r"(?:free|trial|included|remaining)(?: \w+){0,3} (?:quota|credits?|allocation|tier)(?: \w+){0,4} (?:exhausted|exceeded|used up|expired|ended)",
            r"(?:quota|credits?|balance|allowance)(?: \w+){0,3} (?:(?:is|are|been) )?(?:exhausted|used up|depleted|insufficient)",
            r"used up your (?:\w+ ){0,3}(?:quota|credits?|allocation|allowance)",
            r"(?:spend(?:ing)?|budget|billing|usage|key|inference|plan) (?:limit|cap|quota)s?(?: \w+){0,3} (?:exceeded|reached|hit)",
            r"(?:reached|exceeded|hit)(?: \w+){0,4} (?:spend(?:ing)?|budget|billing|usage|inference|plan|key) (?:limit|cap|quota)s?",
            r"regain access", r"(?:usage|session|weekly|hourly|5[- ]hours?|five[- ]hour|daily|monthly|plan|request) (?:limit|quota|allowance)s?(?: \w+){0,2} (?:reached|exceeded|exhausted|hit)", r"(?:premium|free) (?:request|model|tier|usage)s?(?: \w+){0,3} (?:allowance|quota|exhausted|exceeded|reached)",
            r"(?:exceeded|reached|hit|used)(?: \w+){0,5} (?:allowance|premium requests?)", r"(?:not enough|no|insufficient|zero|lack of|without) (?:\w+ ){0,2}(?:credits?|balance|funds|quota|tokens left)", r"(?:quota|credits?|balance|额度|余额) (?:is |are )?(?:not enough|too low|insufficient|required|empty|zero)",
            r"(?:no|without an?|inactive|expired|requires? an?) (?:\w+ )?(?:subscription|paid plan|plan)", r"(?:paid|higher|pro|premium) (?:plan|tier|subscription|account)s? (?:is |are )?(?:required|only|needed)", r"used all (?:\w+ ){0,3}(?:credits?|quota)", r"(?:individual|organization|team|personal) quota", r"extra usage",
            r"limit(?:s)? will (?:be )?reset", r"billing", r"invoices?", r"unpaid", r"free usage", r"trial (?:key|period|credits?)", r"prepa(?:id|yment)", r"top[- ]?up",
            r"payment (?:required|method|failed)", r"(?:account|billing) (?:is )?(?:in arrears|overdue|not active|past due)",
            r"upgrade (?:your|to|the) (?:\w+ ){0,2}(?:plan|account|tier)", r"subscri(?:be|ption) (?:to|has|is|plan|expired|required)",
            r"budget has been exceeded", r"negative balance", r"failure to pay", r"quota has been exceeded",
            r"safe experience mode", r"monthly_request_count",
            r"余额\w{0,4}(?:不足|不够|为零|用完)", r"(?:使用|用量|次数|调用量?)\w{0,4}(?:上限|已用完|用尽|耗尽)", r"剩余额度", r"预扣费", r"额度(?:已)?(?:不足|用尽|用完|耗尽)", r"欠费", r"配额(?:已)?(?:不足|用尽|用完|耗尽|超)",
            r"(?:账户|帐户|账号)(?:已)?欠费", r"请充值", r"升级账户", r"套餐", r"资源包",
            r"残高|クレジットが不足", r"saldo insuficiente", r"크레딧|잔액",
        ),
        vetoes=(
            r"please check your plan and billing details\W+(?:retry|please retry) in \d",
            r"per[- _]minute", r"credentials", r"(?:tpm|rpm|qps)", r"quota ?increase", r"负载已饱和，请稍后再试$",
        ),
        sources=("OpenAI", "Anthropic", "OpenRouter", "DeepSeek", "one-api", "Hugging Face"),
    ),
    ErrorRule(
        name="context-overflow-text",
        kind=_K.CONTEXT_OVERFLOW,
        strength=_WORDING,
        why="the prompt does not fit the window",
        phrases=(
            r"maximum context length", r"max(?:imum)? context (?:size|window|tokens)",
            r"(?:prompt|input|request|conversation|context|messages?) (?:\w+ ){0,4}(?:is |are )?too long",
            r"exceeds? (?:the |this |its )?(?:\w+(?:'s)? ){0,3}context(?: length| size| window| limit)?",
            r"(?:longer|larger|greater) than (?:the |this )?(?:\w+(?:'s)? ){0,3}context (?:length|size|window)",
            r"context (?:window|length|size|limit) (?:\w+ ){0,3}exceeded", r"context (?:the )?overflows?", r"range of input length should be", r"(?:prompt|输入|上下文)\W?超长",
            r"(?:input|prompt|request body)(?: \w+){0,3} (?:exceeds?|exceeded)(?: \w+){0,6} tokens?",
            r"(?:input|prompt) tokens? (?:count )?(?:\(?\d{1,12}\)? )?exceeds?(?: the)? (?:max\w*|limit|configured|model)",
            r"too many (?:input |prompt )?tokens", r"token limit(?: exceeded)?", r"tokens? (?:count )?(?:of )?(?:\(?\d{1,12}\)? )?(?:exceed(?:s|ed)?|is (?:greater|larger|longer) than)", r"prompt token count", r"(?:`?inputs?`?|prompt) must have (?:less|fewer) than \d{1,12} tokens",
            r"exceed(?:s|ed)? (?:the )?(?:\w+ ){0,3}(?:max(?:imum)?|limit|number)(?: \w+){0,3} (?:of )?(?:input |prompt )?tokens", r"exceed(?:s|ed)? (?:the )?(?:\w+ ){0,2}(?:token|input|prompt|n_ctx) ?(?:limit|length|size)?",
            r"(?:prompt|input|conversation|context|history)(?: \w+){0,3} (?:too (?:large|big|long)|overflow\w*|does not fit)", r"long context (?:beta|requests?)", r"kv[ _-]cache (?:is )?full", r"n_ctx", r"max(?:imum)? (?:input|prompt|sequence) (?:length|tokens?|size)", r"sequence length",
            r"reduce the length of the (?:messages|prompt|input)", r"input length (?:exceeds?|\w+ exceed)",
            r"request body too large for \S+ model\. max size: \d{1,12} tokens",
            r"(?:上下文|输入|提示词?)(?:\w{0,6})(?:长度|过长|超)", r"超[过出]\w{0,8}(?:上下文|最大长度|token)",
            r"contexte maximal", r"コンテキスト(?:長|ウィンドウ)",
        ),
        vetoes=(
            r"max_?(?:completion_|output_|new_)?tokens\W+(?:is |must |cannot |should )",
            r"per[ -](?:minute|day|min)", r"(?:tpm|rpm|tpd)", r"rate[ _-]limit\w*", r"throttl\w+", r"response body", r"please wait",
        ),
        sources=("OpenAI", "Anthropic", "vLLM", "llama.cpp", "Google", "GitHub Models"),
    ),
    ErrorRule(
        name="cap-text",
        kind=_K.OUTPUT_LIMIT,
        strength=_WORDING,
        why="the cap that we sent is what is refused",
        statuses=(400, 402, 422),
        phrases=(
            r"max_?(?:output_|completion_|new_)?tokens\b.{0,60}?(?:too (?:large|high|big)|exceeds?|exceeded|greater than|larger than|out of range)",
            r"fewer max_tokens", r"(?:lower|reduce|decrease) (?:the )?max_?(?:output_|completion_)?tokens",
            r"(?:output|completion) token (?:limit|count).{0,40}?exceed",
        ),
        vetoes=(r"required", r"unsupported parameter", r"use 'max_completion_tokens'"),
        sources=("OpenAI", "OpenRouter", "Bedrock"),
    ),
    ErrorRule(
        name="content-policy-text",
        kind=_K.CONTENT_POLICY,
        strength=_WORDING,
        why="moderation or a safety filter is named",
        phrases=(
            r"content[ _-](?:policy|filter\w*|management policy|moderation|safety|violation)",
            r"considered high risk", r"content exists risk", r"risk control", r"(?:prompt|request|input|content|output|response)s? (?:was |were |has been |is )?(?:\w+ )?(?:flagged|filtered|moderated)", r"(?:appears|seems) to violate", r"acceptable use", r"usage polic\w+", r"unsafe", r"harmful", r"new_sensitive", r"copyright\w*", r"recitation", r"trust (?:and|&) safety", r"violat\w+ (?:\w+ ){0,4}(?:usage|content|safety|acceptable use|terms|polic)\w*(?: \w+)?",
            r"safety (?:system|filter|settings|check|reasons?|guidelines?)", r"SAFETY_CHECK_TYPE\w*", r"safety",
            r"(?:flagged|blocked|rejected|refused)(?: \w+){0,5} (?:moderation|safety|policy|inappropriate|harmful|sensitive)\w*",
            r"moderation", r"inappropriate content", r"(?:harmful|sensitive|prohibited|unsafe) (?:content|words?|information|material)",
            r"block_?reason\W+\w+", r"prohibited_content", r"stop_reason\W+refusal", r"guardrail\w*",
            r"blocked prompt", r"responsible ai", r"jailbreak", r"data may contain inappropriate",
            r"(?:敏感|违规|不安全|不当)(?:词|内容|信息)?", r"内容(?:安全|审核|风险|合规)", r"违反\w{0,8}(?:政策|规定|规范)",
        ),
        vetoes=(r"safety ?margin", r"invalid schema", r"safety_identifier", r"unsupported parameter"),
        sources=("Azure", "xAI", "Moonshot", "Google", "OpenRouter", "DashScope"),
    ),
    ErrorRule(
        name="auth-text",
        kind=_K.AUTH,
        strength=_WORDING,
        why="the key, the account, the region or a permission is refused in words",
        phrases=(
            r"(?:invalid|incorrect|missing|wrong|no|bad|expired|revoked|disabled)(?: or \w+)? (?:\w+ ){0,2}(?:api[ _-]?key|access token|auth\w* token|credentials?|bearer token|x-api-key)",
            r"api[ _-]?key(?: \S+){0,6} (?:invalid|incorrect|missing|expired|revoked|disabled|not (?:valid|found|provided|set))",
            r"authenticat\w+ (?:fails?|failed|error|required|is required)", r"unauthori[sz]ed", r"unauthenticated",
            r"not authenticated", r"no auth credentials", r"token (?:has |is )?(?:expired|invalid|revoked)",
            r"permission[ _](?:\S+ ){0,2}denied", r"access (?:\w+ ){0,5}denied", r"not (?:authorized|allowed|permitted) to",
            r"do(?:es)? not have (?:\w+ ){0,2}(?:access|permission)s?(?! to it)", r"request not allowed", r"forbidden",
            r"(?:country|region|territory|location)(?: \w+){0,4} (?:not (?:supported|available|allowed)|unsupported)",
            r"(?:not supported|not available|unsupported)(?: \w+){0,4} (?:country|region|territory|location)",
            r"account (?:\w+ ){0,4}(?:suspended|deactivated|disabled|banned|locked|terminated)",
            r"(?:organi[sz]ation|user)(?: \w+){0,3} (?:disabled|deactivated|suspended|restricted)",
            r"(?:you have been|why have i been|request) blocked", r"(?:attention required|just a moment)\W",
            r"cloudflare(?: \w+){0,4} (?:block|challenge|captcha)\w*", r"captcha", r"ip (?:address )?(?:\S+ )?(?:is )?(?:not allowed|blocked|not whitelisted)",
            r"(?:refresh|oauth|session) token(?: \w+){0,4} (?:invalid|expired|revoked|not found|failed)",
            r"token refresh failed", r"(?:could not|unable to|failed to) (?:load|locate|find|get|obtain|refresh|retrieve)(?: \w+){0,3} (?:credentials?|tokens?|api[ _-]?key)",
            r"(?:only|not) (?:be )?(?:authorized|allowed|available|valid|intended|supported)(?: \w+){0,4} (?:client|claude code|coding agents?|official|application|use with)", r"(?:client|application|user[- ]agent)(?: \S+){0,4} (?:not (?:supported|allowed|authorized)|blocked|unsupported|refused)",
            r"re-?authenticat\w+", r"log ?in again", r"sign in again", r"api_key client option must be set", r"tunnel connection failed\W+407", r"407", r"security token", r"bad credentials",
            r"(?:verify|verification)(?: \w+){0,4} (?:organi[sz]ation|identity|account|human)", r"(?:enable|requires?) javascript", r"are you (?:a )?human", r"access (?:is )?restricted", r"not (?:entitled|licensed|whitelisted|on the allowlist)", r"terms of service",
            r"(?:member of an|your) organization(?: \w+){0,3} (?:disabled|not allowed)", r"signature (?:does not match|mismatch|we calculated)", r"令牌\w{0,8}(?:无效|不存在|过期|错误)", r"(?:非法|不支持)\w{0,4}客户端", r"禁止访问", r"(?:封号|封禁)", r"login required", r"please (?:log|sign) in", r"proxy authentication required",
            r"无效的(?:令牌|密钥|api|key|token)", r"令牌(?:已)?(?:过期|无效|失效|状态不可用)", r"无权(?:访问|限)?", r"未授权", r"认证失败",
            r"(?:密钥|key|token)(?:\w{0,4})(?:无效|错误|过期|失效)", r"没有权限", r"身份验证", r"鉴权(?:失败)?", r"账[号户](?:已)?被?(?:封禁|禁用|冻结)",
        ),
        vetoes=(r"does not exist or you do not have access", r"unknown name", r"additional properties", r"extra inputs"),
        sources=("OpenAI", "Anthropic", "DeepSeek", "Google", "Cloudflare", "new-api"),
    ),
    ErrorRule(
        name="invalid-request-text",
        kind=_K.INVALID_REQUEST,
        strength=_WORDING,
        why="a parameter, a schema or the order of messages is what is refused",
        phrases=(
            r"invalid schema", r"unsupported (?:parameter|value|field)", r"unknown (?:name|parameter|field|argument)",
            r"(?:unrecognized|unexpected|unknown) (?:request )?(?:argument|keyword|field|parameter)", r"field required",
            r"extra inputs are not permitted", r"additional properties", r"(?:missing|required) (?:required )?(?:parameter|field|key|property)",
            r"malformed input request", r"invalid json payload", r"must be followed by tool", r"tool_call_ids? (?:did not|\w+)",
            r"tool_use(?:` )? ?ids? (?:were )?(?:found )?without", r"tool_result", r"must (?:alternate|be passed back|start with|end with|contain|be one of|have a)",
            r"roles? must", r"signature (?:in|field|is)", r"does not support (?:assistant|system|tool|image|vision|function|parameters?|temperature|reasoning)\w*",
            r"(?:is|are) not supported (?:with|by|for|in) this (?:model|api|endpoint)", r"invalid (?:type|value|enum|role|format|image|base64|argument|parameter|function|tool|message)\w*",
            r"expected (?:a|an|one of) \S+,? (?:but )?got", r"could not parse (?:the )?(?:json|request)", r"cannot (?:be|have) (?:both|empty)",
            r"function_?call\w* (?:must|should|is)", r"thought_signature", r"prefill", r"messages?\W\d{1,12}\W",
            r"(?:参数|请求)(?:错误|无效|有误|不合法)", r"不支持(?:该|此)?(?:参数|功能)",
        ),
        vetoes=(r"upstream request failed", r"model (?:\S+ )?(?:not found|does not exist)", r"(?:api[ _-]?key|token) (?:is )?invalid"),
        statuses=(400, 404, 405, 409, 415, 422, 500, 501, 502),
        sources=("OpenAI", "Anthropic", "Google", "Bedrock", "DeepSeek"),
    ),
    ErrorRule(
        name="not-found-text",
        kind=_K.NOT_FOUND,
        strength=_WORDING,
        why="the model, the deployment or the route is what is unknown",
        phrases=(
            r"no endpoints? found", r"no allowed providers", r"no (?:available )?channels?(?: available)? for",
            r"(?:model|deployment|endpoint|engine|function|route|resource|url|page)s?(?: \S+){0,6} (?:not found|does ?n[o']t exist|not exist|is not (?:available|supported|found)|unavailable|deprecated|retired|decommissioned|no longer)",
            r"(?:unknown|no such|invalid|unsupported|unrecognized) (?:model|deployment|endpoint|engine)", r"model_not_found",
            r"not found for account", r"not a valid model", r"404 page not found", r"cannot (?:post|get|find) /",
            r"model \S+ not found", r"try pulling it first", r"does not exist or you do not have access",
            r"无可用渠道", r"模型(?:\S{0,30})(?:不存在|未找到|不支持|已下线|无可用)", r"找不到\S{0,8}模型", r"不存在的模型",
        ),
        vetoes=(r"unknown name", r"cannot find field", r"refresh token", r"tool_use_id", r"previous_response"),
        sources=("OpenAI", "OpenRouter", "one-api", "Ollama", "Anthropic"),
    ),
    ErrorRule(
        name="too-large-text",
        kind=_K.REQUEST_TOO_LARGE,
        strength=_WORDING,
        why="the payload is too big in bytes",
        phrases=(
            r"request (?:entity |body |payload )?(?:is )?too large", r"payload too large", r"body (?:exceeded|exceeds|too large)",
            r"exceeds? (?:the )?(?:maximum |max )?(?:allowed )?(?:number of bytes|size|request size|payload size)",
            r"(?:image|file|attachment)s?(?: \w+){0,5} (?:exceeds?|too (?:large|big)|larger)(?: \w+){0,6}",
            r"length limit exceeded", r"maximum (?:allowed )?(?:size|bytes)", r"content too large",
            r"is not a valid absolute uri", r"(?:文件|图片|请求体)(?:过大|太大|超过)",
        ),
        vetoes=(r"max size: \d{1,12} tokens",),
        sources=("Anthropic", "nginx", "axum", "Azure"),
    ),
    ErrorRule(
        name="overloaded-text",
        kind=_K.OVERLOADED,
        strength=_WORDING,
        why="capacity is named, not our rate",
        phrases=(
            r"over[- ]?load(?:ed)?", r"(?:at|over|out of|insufficient|no|limited|exceeded) (?:\w+ )?capacity", r"capacity (?:\w+ )?(?:constraints?|limit|exceeded|issues?)",
            r"no (?:available |free |healthy )?(?:slots?|workers?|instances?|upstreams?|replicas?|gpus?)(?: available)?",
            r"(?:server|service|model|system|llm|upstream)s? (?:is |are )?(?:currently |too |temporarily |very )*busy",
            r"high (?:demand|traffic|load)", r"heavy (?:load|traffic)", r"(?:is |are )?unable to handle", r"访问量过大", r"请求量过大", r"算力\w{0,4}不足", r"资源(?:紧张|不足)", r"排队", r"model (?:\S+ )?is (?:currently )?(?:loading|starting|warming)", r"DEGRADED function",
            r"temporarily (?:unavailable|overloaded)", r"service (?:is )?(?:currently )?unavailable", r"maximum pending requests",
            r"worker\w* (?:local )?total request limit", r"queue (?:is )?(?:full|limit)", r"scaling up|cold start", r"try again (?:later|in a few)\W+(?:we|our)",
            r"(?:系统|服务|服务器|模型)\w{0,4}(?:繁忙|忙碌|过载|超载)", r"负载\w{0,4}(?:饱和|过高|已满)", r"混雑", r"サーバーが?混",
        ),
        vetoes=(r"method overload", r"rate limit (?:reached|exceeded) for", r"升级账户"),
        sources=("Anthropic", "OpenAI", "Ollama", "NVIDIA", "Hugging Face", "new-api"),
    ),
    ErrorRule(
        name="rate-limit-text",
        kind=_K.RATE_LIMIT,
        strength=_WORDING,
        why="throttling is named",
        phrases=(
            r"rate[ _-]?limit(?:ed|s|ing|ation)?", r"too many (?:concurrent )?(?:requests?|runs|tokens|connections|sessions)", r"throttl(?:ed|ing)\w*",
            r"requests? (?:rate|per (?:minute|second))", r"per[ _-](?:minute|second)\w*", r"(?:tpm|rpm|qps|tps)", r"quota exceeded for \S+",
            r"concurren(?:t|cy)(?: \w+){0,4} (?:limit|exceeded|reached)", r"slow down", r"too quickly", r"too (?:fast|frequent\w*)", r"request limit (?:exceeded|reached)", r"exceeded (?:the |your )?(?:request|rate|token) (?:limit|rate)\w*", r"(?:请求|访问|调用)\w{0,4}(?:过多|过快|太多|太快|超限)", r"resource[ _](?:has been )?exhausted", r"ramp up your traffic",
            r"request rate increased too quickly", r"速率限制", r"请求(?:过于|太)?频繁", r"频率(?:限制|过高)?", r"限流", r"并发(?:数|量)?(?:超|已?达|限制|过)", r"超过\w{0,6}(?:频率|速率|并发)",
            r"レート制限", r"リクエストが多", r"límite de (?:velocidad|solicitudes)",
        ),
        vetoes=(r"invalid (?:schema|value)",),
        sources=("OpenAI", "Anthropic", "Zhipu", "DashScope", "Azure", "Google"),
    ),
    ErrorRule(
        name="timeout-text",
        kind=_K.TIMEOUT,
        strength=_WORDING,
        why="a clock of some hop ran out and says so in words",
        phrases=(
            r"time[d]?[ -]?out", r"[a-z_]{0,40}timeout\w*", r"deadline[ _](?:has been )?exceeded\w*", r"etimedout", r"response stalled", r"stalled",
            r"no (?:response|data|chunks?|events?|tokens?|activity|output) (?:\w+ ){0,3}(?:for|within|after|in) \d{1,12}", r"context canceled",
            r"idle (?:for|limit|time)", r"took too long", r"(?:the )?operation was cancell?ed", r"超时", r"タイムアウト",
        ),
        vetoes=(r"invalid \w*timeout", r"timeout (?:must|should|is not a|parameter|field)", r"no available (?:channel|model)"),
        sources=("httpx", "undici", "Go net/http", "curl", "reqwest"),
    ),
    ErrorRule(
        name="connection-text",
        kind=_K.CONNECTION,
        strength=_WORDING,
        why="a hop lost its connection, or never had it, and says so in words",
        phrases=(
            r"network (?:connection lost|error|is unreachable|changed|request failed)", r"connection(?: \w+){0,2} (?:lost|reset|refused|closed|aborted|terminated|dropped|interrupted|failed|broken|termination|error)",
            r"(?:closed|reset|lost|dropped) (?:the )?connection", r"socket (?:hang up|closed|error|connection)", r"incomplete chunked read", r"econn(?:reset|refused|aborted)", r"epipe",
            r"(?:server|peer|client|remote|upstream)(?: \w+)? (?:disconnected|closed|hung up)", r"disconnect/reset", r"without (?:sending|receiving)(?: \w+){0,3} (?:complete|response)\w*",
            r"go[_ ]?away", r"rst_stream", r"broken pipe", r"unexpected eof", r"eof(?: occurred)?", r"premature(?:ly)? (?:close|closed|end\w*)", r"connection pool", r"stream (?:was )?(?:reset|not closed cleanly|disconnected|closed|interrupted|aborted)(?! before a finish)",
            r"fetch failed", r"failed to fetch", r"(?:getaddrinfo|name or service|temporary failure in name|nodename|enotfound|eai_again|dns)(?: \w+){0,5}", r"cannot connect to", r"(?:unable|failed) to (?:connect|establish|reach)", r"no route to host",
            r"websocket (?:closed|error|connection)\W?\d*", r"other side closed", r"error (?:sending|receiving|reading)(?: \w+){0,3} (?:request|body|response|chunk|stream|connection)", r"error decoding response body", r"(?:h2|http2?|http/2) protocol error", r"nghttp2_\w+", r"err_http2_\w+", r"err_stream_\w+", r"recv failure", r"send failure", r"empty reply", r"transfer closed", r"forcibly closed", r"no such host", r"wsarecv",
            r"closed network connection", r"response ended prematurely", r"unexpected end of (?:stream|file)", r"stream was reset", r"incomplete (?:message|response|body|read)", r"connection abort\w*", r"remote (?:end|host|side) closed", r"bytes remaining", r"closed before", r"(?:unable|cannot|could not|couldn't) (?:to )?(?:connect|reach|resolve)\w*", r"failed to connect", r"transport error", r"und_err_socket", r"tcp connect error", r"tls(?:v1)? (?:handshake|alert)(?: \w+)*", r"ssl\w*(?: \w+)? eof\w*",
            r"stream ended before completion", r"stream error\W+stream id", r"payload is not completed", r"net::err_(?:connection|network|internet|name|socket|http2|quic|empty|incomplete)\w*", r"networkerror(?: when)?", r"connection error", r"terminated", r"(?:连接|网络)(?:\w{0,4})(?:断开|中断|重置|失败|错误|异常|关闭)",
        ),
        vetoes=(r"runner process", r"runner has", r"invalid request", r"content policy", r"process (?:has )?terminated", r"unexpected end of json", r"<!doctype|<html"),
        sources=("OpenRouter", "httpx", "undici", "Envoy", "reqwest", "curl"),
    ),
    ErrorRule(
        name="truncated-text",
        kind=_K.TRUNCATED,
        strength=_WORDING,
        why="the answer just ended",
        phrases=(
            r"(?:before|without|no|missing)(?: an?| any| the)? (?:\w+ )?(?:finish_?reason|terminal (?:chunk|event)|message_stop|\[done\]|completed? event|response\.completed)",
            r"(?:stream|response|output)(?: \w+){0,3} (?:ended|closed|finished|stopped) (?:before|without|early|unexpectedly|prematurely)",
            r"finish_?reason\W+(?:length|max_tokens)", r"stop_reason\W+max_tokens", r"(?:truncated|cut off|incomplete)(?: \w+){0,3} (?:response|output|stream|tool call|arguments|json|answer)?",
            r"ends? abruptly", r"zero content deltas", r"reached (?:the )?max(?:imum)? (?:output )?tokens",
        ),
        vetoes=(r"chunked read", r"peer closed"),
        sources=("openai-node", "LM Studio", "Anthropic"),
    ),
    ErrorRule(
        name="cut-arguments-text",
        kind=_K.TRUNCATED,
        strength=_WORDING,
        why="an ending whose arguments cannot be parsed was cut; a refusal would have a code",
        surfaces=(Surface.FINISH,),
        phrases=(
            r"unterminated string", r"unexpected end", r"eof while parsing", r"expecting (?:value|',' delimiter)",
            r"not valid json", r"(?:invalid|incomplete|malformed|partial|unparsable) (?:tool |function )?(?:json|arguments|call)",
            r"could ?n[o']t be parsed", r"failed to parse", r"json\w* ?(?:parse|decode)? ?error",
        ),
        sources=("LM Studio", "vLLM", "Ollama"),
    ),
    ErrorRule(
        name="server-error-text",
        kind=_K.SERVER_ERROR,
        strength=_WORDING,
        why="the server, its proxy or its own model failed, in words",
        phrases=(
            r"internal (?:server )?error", r"bad gateway", r"(?:server|unexpected|unknown) (?:had an )?error(?: (?:occurred|while))?", r"an error occurred (?:while|during)",
            r"upstream (?:request failed|error|service)", r"malformed (?:function|tool) call\w*", r"malformed tool call arguments", r"runner (?:process )?has (?:terminated|unexpectedly stopped|crashed)",
            r"(?:model|process|server|worker)(?: \w+){0,2} crashed", r"unexpected end of json(?: input)?", r"unexpected token", r"is not valid json", r"json(?:\.decoder\.)?(?: ?decode)? ?error\w*", r"could not be parsed",
            r"cuda (?:error|out of memory)", r"out of memory", r"provider returned error", r"something went wrong", r"invalid (?:content|chunk|stream)", r"empty response", r"no choices", r"'nonetype' object is not \w+", r"expecting value", r"failed to (?:parse|decode|generate)(?: \w+)*", r"内部错误", r"服务(?:器)?(?:内部)?(?:错误|异常)",
        ),
        vetoes=(r"could not parse (?:the )?(?:json )?(?:body|request)",),
        sources=("OpenAI", "nginx", "Ollama", "OpenRouter", "LM Studio"),
    ),
    # === defaults: the generic status or exception ===========================================
    ErrorRule(
        name="connection-exception",
        kind=_K.CONNECTION,
        strength=_DEFAULT,
        why="the HTTP stack lost the connection or never had it",
        exceptions=_CONNECTION_ERRORS,
    ),
    ErrorRule(
        name="auth-type",
        kind=_K.AUTH,
        strength=_DEFAULT,
        why="types that say no more than that somebody may not",
        words=(
            "permission_error", "permission_denied", "unauthenticated", "access_denied",
            "unauthorized", "forbidden", "PermissionDeniedError", "AuthenticationError",
        ),
    ),
    ErrorRule(
        name="not-found-type",
        kind=_K.NOT_FOUND,
        strength=_DEFAULT,
        why="types that say no more than that something is not there",
        words=("not_found", "not_found_error", "NotFoundError"),
    ),
    ErrorRule(
        name="rate-limit-type",
        kind=_K.RATE_LIMIT,
        strength=_DEFAULT,
        why="words that gateways put on any 429; money, a day and load were ruled out above",
        words=(
            "rate_limit_exceeded", "rate_limit_error", "rate_limited", "rate_limit",
            "too_many_requests", "ThrottlingException", "Throttling", "Throttling.AllocationQuota",
            "throttled", "throttling_error", "TooManyRequestsException", "RateLimitError",
            "RateLimitReached", "limit_requests", "limitation", "user_rate_limited",
            "requests_limit_exceeded", "ThrottledException", "RequestLimitExceeded",
        ),
    ),
    ErrorRule(
        name="status-401-403",
        kind=_K.AUTH,
        strength=_DEFAULT,
        why="credentials or permission, by the standard",
        statuses=(401, 403, 407),
    ),
    ErrorRule(
        name="status-402",
        kind=_K.QUOTA,
        strength=_DEFAULT,
        why="payment required",
        statuses=(402,),
    ),
    ErrorRule(
        name="status-412",
        kind=_K.QUOTA,
        strength=_DEFAULT,
        why="we send no preconditions: Fireworks answers so for a suspended account",
        statuses=(412,),
    ),
    ErrorRule(
        name="status-404",
        kind=_K.NOT_FOUND,
        strength=_DEFAULT,
        why="no such model or route",
        statuses=(404, 410),
    ),
    ErrorRule(
        name="status-413",
        kind=_K.REQUEST_TOO_LARGE,
        strength=_DEFAULT,
        why="content too large, by the standard",
        statuses=(413,),
    ),
    ErrorRule(
        name="status-429",
        kind=_K.RATE_LIMIT,
        strength=_DEFAULT,
        why="too many requests, by the standard; quota and overload were ruled out above",
        statuses=(429,),
    ),
    ErrorRule(
        name="status-503",
        kind=_K.OVERLOADED,
        strength=_DEFAULT,
        why="service unavailable, by the standard",
        statuses=(503,),
    ),
    ErrorRule(
        name="status-521",
        kind=_K.CONNECTION,
        strength=_DEFAULT,
        why="Cloudflare: the origin refuses the connection, or cannot be reached",
        statuses=(521, 523, 525),
    ),
    ErrorRule(
        name="status-5xx",
        kind=_K.SERVER_ERROR,
        strength=_DEFAULT,
        why="the server's own fault, by the standard",
        status_class=5,
    ),
    ErrorRule(
        name="status-4xx",
        kind=_K.INVALID_REQUEST,
        strength=_DEFAULT,
        why="the request's fault, by the standard",
        status_class=4,
    ),
    ErrorRule(
        name="garbage-in-stream",
        kind=_K.SERVER_ERROR,
        strength=_DEFAULT,
        why="a proxy's page or half an event where an event was due",
        surfaces=(Surface.SSE,),
        phrases=(r"\A\s*<(?:!doctype|html)", r"\A\s*[\[{]"),
    ),
    ErrorRule(
        name="connection-type",
        kind=_K.CONNECTION,
        strength=_DEFAULT,
        why="types that say no more than that some connection failed",
        words=("connection_error", "network_error", "api_connection_error", "upstream_connection_error"),
    ),
    ErrorRule(
        name="server-error-type",
        kind=_K.SERVER_ERROR,
        strength=_DEFAULT,
        why="types that say no more than that the server failed",
        words=(
            "api_error", "server_error", "internal_server_error", "internal_error", "internal",
            "InternalServerError", "JSONDecodeError", "APIResponseValidationError", "response_failed",
            "InternalServerException", "InternalFailure", "upstream_error", "unavailable",
        ),
    ),
    ErrorRule(
        name="resource-exhausted-type",
        kind=_K.RATE_LIMIT,
        strength=_DEFAULT,
        why="gRPC's word for any limit; a day or credits would have been named",
        words=("resource_exhausted", "ResourceExhausted"),
    ),
    ErrorRule(
        name="invalid-request-type",
        kind=_K.INVALID_REQUEST,
        strength=_DEFAULT,
        why="a type that says no more than that the request was refused",
        words=(
            "invalid_request_error", "invalid_argument", "ValidationException", "BadRequestError",
            "UnprocessableEntityError", "invalid_request", "bad_request", "failed_precondition",
            "InvalidParameter", "invalid_parameter_error", "unsupported_parameter", "invalid_value",
        ),
    ),
    ErrorRule(
        name="abnormal-ending",
        kind=_K.TRUNCATED,
        strength=_DEFAULT,
        why="nothing was thrown, and the answer is not whole",
        surfaces=(Surface.FINISH,),
    ),
)
"""Read top down; strengths ascend, so that a wording can never stand before a specific fact."""
