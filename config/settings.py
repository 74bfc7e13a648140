"""All settings, read once from the environment. Related ones are checked in ``config.checks``."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config import embedded
from config.env import Env
from config.keys import package_folder, secret_key

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
RATCHET_HOME = env.path("RATCHET_HOME", BASE_DIR / ".ratchet")

# ---------------------------------------------------------------- where state lives
# URLs win; without them the project's own PostgreSQL and Redis are used if they run.
_own = None
if not (env.text("DATABASE_URL", "-") != "-" and env.text("REDIS_URL", "-") != "-"):
    _own = embedded.running(RATCHET_HOME)

# A URL that nothing answers at: commands without a database still start.
DATABASE_URL = env.text(
    "DATABASE_URL", _own.database_url if _own else "postgresql://ratchet@127.0.0.1:1/ratchet"
)
DATABASE_OWNER_URL = env.text(
    "DATABASE_OWNER_URL", _own.database_owner_url if _own else DATABASE_URL
)
REDIS_URL = env.text("REDIS_URL", _own.redis_url if _own else "redis://127.0.0.1:1/0")
BROKER_URL = env.text("BROKER_URL", REDIS_URL)

# app: rows only. owner: migrations, and the tables' owner, which could disable the audit trigger.
DATABASE_ROLE = env.text("RATCHET_DB_ROLE", "app")
# Threads share a pool (web, I/O workers); a forked worker keeps one connection of its own.
DATABASE_POOL = env.flag("DATABASE_POOL", default=False)
DATABASE_POOL_SIZE = env.whole("DATABASE_POOL_SIZE", 20, low=1, high=500)


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    options: dict[str, object] = {
        "application_name": env.text("RATCHET_PROCESS", "ratchet"),
        # Only the engine prepares statements, and its plans do not depend on their parameters:
        # planning each call anew cost more than running it (0.8 ms of 1.4).
        # A plan is kept while its table grows from nothing: pages are in memory or on an SSD, and
        # with the cost of a turning disk (4) it would read the whole of a table of a few pages.
        "options": "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1",
        # Django's default, None, would make psycopg ignore even an explicit ``prepare=True``.
        "prepare_threshold": 1_000_000,
    }
    if DATABASE_POOL:
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "OPTIONS": options,
        # Django refuses persistent connections beside a pool.
        "CONN_MAX_AGE": 0 if DATABASE_POOL else None,
        "CONN_HEALTH_CHECKS": not DATABASE_POOL,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }


DATABASES = {"default": _database(DATABASE_OWNER_URL if DATABASE_ROLE == "owner" else DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_cache_url = env.text("CACHE_URL", _own.cache_url if _own else REDIS_URL)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": _cache_url,
        "KEY_PREFIX": "ratchet",
    }
}
MEDIA_ROOT = env.path("ARTIFACT_DIR", RATCHET_HOME / "artifacts")

# ---------------------------------------------------------------- Django
DEBUG = env.flag("DEBUG", default=False)
# One secret an installation; made at the first start and kept beside the data.
SECRET_KEY = env.text("SECRET_KEY", secret_key(RATCHET_HOME))
# Keys of before: what they signed still counts, and nothing new is signed with them.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# Behind TLS these are on; on loopback over plain HTTP a secure cookie would lock people out.
_https = env.flag("HTTPS_ONLY", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = (
    [] if _https else ["security.W004", "security.W008", "security.W012", "security.W016"]
)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    # Its modules are found by config.urls: workers have no use for them.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "config.apps.ConfigConfig",
    "config.access.apps.AccessConfig",
    "monitoring.apps.MonitoringConfig",
    "scaling.apps.ScalingConfig",
    "agents.apps.AgentsConfig",
    "workflows.apps.WorkflowsConfig",
    "learning.apps.LearningConfig",
]
MIDDLEWARE = [
    "config.logs.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.addresses.AddressMiddleware",
    "config.access.auditing.AuditMiddleware",
    "config.access.middleware.LoginRequiredMiddleware",
]
# Who asks with a key has no session and sees no page: what only those need is a twelfth of what an
# answer from the cache costs. Everything else is for all (see config.asgi).
_FOR_SESSIONS = (
    "config.access.middleware.", "django.contrib.", "django.middleware.csrf.", "django_htmx.",
    "whitenoise.",
)  # fmt: skip
KEY_MIDDLEWARE = [
    *(name for name in MIDDLEWARE if not name.startswith(_FOR_SESSIONS)),
    "config.access.middleware.NobodySignedInMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.access.context.shell",
            ]
        },
    }
]
AUTH_USER_MODEL = "access.User"
# How long a process goes on with a key that it has looked up: a revoked one ends within this.
KEY_KEPT = timedelta(seconds=env.whole("KEY_KEPT_SECONDS", 3, high=60))
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator",
                 "CommonPasswordValidator", "NumericPasswordValidator")
]  # fmt: skip
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/dashboard"
LOGOUT_REDIRECT_URL = "/login"
CSRF_FAILURE_VIEW = "config.pages.csrf_failed"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATICFILES_DIRS = [("plotly", package_folder("plotly") / "package_data")]
# Serve straight from the installed packages: nothing to collect, nothing to go stale.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 26 * 2**20  # one artifact of 25 MB and its envelope
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
# What a web process reads of one request at all, also of one in chunks that states no length: twice
# the largest file, which the door that takes it refuses in words of its own.
REQUEST_BYTES = 2 * DATA_UPLOAD_MAX_MEMORY_SIZE

# With a mail server mails go to it, else into files.
EMAIL_HOST = env.text("EMAIL_HOST", "-")
EMAIL_PORT = env.whole("EMAIL_PORT", 587, low=1, high=65535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
# STARTTLS on the port for submission, TLS from the first byte on 465; config.E008: not both.
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=EMAIL_PORT == 587)
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=EMAIL_PORT == 465)
_mail_door = "filebased" if EMAIL_HOST == "-" else "smtp"
EMAIL_BACKEND = env.text("EMAIL_BACKEND", f"django.core.mail.backends.{_mail_door}.EmailBackend")
EMAIL_FILE_PATH = RATCHET_HOME / "mail"
# A mail server that hangs holds no worker.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "ratchet@localhost")
# What links in mails and messages begin with; `up` tells its children where it serves.
PUBLIC_URL = env.text("PUBLIC_URL", env.text("RATCHET_URL", "http://127.0.0.1:8000")).rstrip("/")
# Where operators look at tasks; `up` tells its children. Empty: no page links to it.
FLOWER_URL = env.text("FLOWER_URL", "")

# The ground imports no app: who writes its entries and alarms down is named here.
AUDIT_WRITER = "monitoring.services.audit"
# Asked by ``verify_audit`` for what other apps have sealed into the log: (things proved, faults).
AUDIT_WITNESSES = ("workflows.sealed.prove",)
AUDIT_INTENT = "monitoring.intents.Intent"
SECURITY_WRITER = "monitoring.services.security_event"
# Wrong passwords and wrong keys that are answered before whoever sends them has to wait.
SIGN_IN_TRIES = env.whole("SIGN_IN_TRIES", 5, low=1, high=1000)
ADDRESS_TRIES = env.whole("ADDRESS_TRIES", 50, low=1, high=100_000)
LOCK_OUT = env.seconds("LOCK_OUT_SECONDS", "300")
# How long a person's exported data waits to be fetched.
EXPORT_KEPT = env.seconds("EXPORT_KEPT_SECONDS", "86400")

# ---------------------------------------------------------------- HTTP API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.access.authentication.ApiKeyAuthentication",
        "config.access.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.access.authentication.HasScope"],
    "DEFAULT_PAGINATION_CLASS": "config.rest.CursorPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "config.parsing.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.rest.exception_handler",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Ratchet",
    "DESCRIPTION": "Runs a fleet of LLM agents as durable workflows, and lets every change "
    "forward only when it is measured to help.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # A list of subjects first: all of it at once is a page of thirteen thousand pixels.
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "docExpansion": "none",
        "filter": True,
        "defaultModelsExpandDepth": -1,
        "displayRequestDuration": True,
    },
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.rest.document_problems",
    ],
    # One list under two field names has one name in the schema.
    "ENUM_NAME_OVERRIDES": {"SeverityEnum": "monitoring.models.alerts.SEVERITIES"},
}

# ---------------------------------------------------------------- engine
# How long a claim holds without a sign of life. Check config.E001: heartbeat < lease / 3.
STEP_LEASE = env.seconds("STEP_LEASE_SECONDS", "18")
STEP_HEARTBEAT = env.seconds("STEP_HEARTBEAT_SECONDS", "5")
# How often lost messages, dead leases and due timers are looked for. E002: lease + sweep <= 30 s.
SWEEP_INTERVAL = env.seconds("SWEEP_INTERVAL_SECONDS", "5")
# A step's limit unless its definition gives one. E003: longer than one model reply.
STEP_TIMEOUT = env.seconds("STEP_TIMEOUT_SECONDS", "300")
# How long a run that was cancelled or has failed waits for the steps that still run.
STOP_GRACE = env.seconds("STOP_GRACE_SECONDS", "60")
# Longest wait for one whole reply of a model. E003: it must fit into a step.
MODEL_TIMEOUT = env.seconds("MODEL_TIMEOUT_SECONDS", "30")
# Of a stream: longest wait for its first token, and for more of it afterwards. A model that thinks
# aloud has begun; one that thinks in silence may take all of its time, so less has to be said.
# E009: part of a whole reply.
MODEL_FIRST_TOKEN_TIMEOUT = env.seconds(
    "MODEL_FIRST_TOKEN_TIMEOUT_SECONDS", f"{MODEL_TIMEOUT.total_seconds():g}"
)
MODEL_CONNECT_TIMEOUT = env.seconds("MODEL_CONNECT_TIMEOUT_SECONDS", "5")
# Redis gives an unacknowledged message out again after this. E004: longer than a step's limit.
VISIBILITY_TIMEOUT = env.seconds("VISIBILITY_TIMEOUT_SECONDS", "3600")
# How long whoever supervises a worker lets it finish; shortly before, it hands its leases back.
# As config.supervisor.programs does it; a cluster states its own.
WORKER_GRACE = env.seconds("WORKER_GRACE_SECONDS", "20")
# A step given out this often without ever finishing is put aside as a dead letter.
MAX_DELIVERIES = env.whole("MAX_DELIVERIES", 5, low=1, high=100)
# Larger outputs go to an artifact and leave a reference in the row.
MAX_INLINE_BYTES = env.whole("MAX_INLINE_BYTES", 64 * 1024, low=1024, high=2**20)
MAX_ARTIFACT_BYTES = env.whole("MAX_ARTIFACT_BYTES", 25 * 2**20, low=1024)
ARTIFACT_STORE = "workflows.artifacts.store_for"
# What workflows hide is hidden with all that other apps keep of it (config.access.hiding).
HIDDEN_RUNS = "workflows.rights.runs_hidden_from"
HIDDEN_WORKFLOWS = "workflows.rights.workflows_hidden_from"

# ---------------------------------------------------------------- agents
# Without an endpoint of its own the fleet answers from the offline model.
OFFLINE_MODEL_URL = env.text("OFFLINE_MODEL_URL", "http://127.0.0.1:1/v1")
OPENAI_BASE_URL = env.text("OPENAI_BASE_URL", "-")
OFFLINE_MODEL_IN_USE = OPENAI_BASE_URL == "-"
# Each may be switched off to see what it is worth: `make bench ONLY=savings` does.
ANSWER_CACHE = env.flag("ANSWER_CACHE", default=True)
# What a full memory tier gives up: what was used longest ago (lru), or least often of that (lfu).
ANSWER_CACHE_POLICY = env.one_of("ANSWER_CACHE_POLICY", "lru", ("lru", "lfu"))
# Off: every call goes to the strongest model. On: to the tier that its version asks for.
MODEL_ROUTING = env.flag("MODEL_ROUTING", default=True)
# Lean tool schemas, tight JSON, no empty members, no repeated footers.
TOKEN_OPTIMISATION = env.flag("TOKEN_OPTIMISATION", default=True)
# A spaCy pipeline (a package or a folder) that finds names of persons beside the rules, for agents
# whose guardrails ask for PERSON; "-" is none. Each process that needs it loads it once.
NAME_MODEL = env.text("NAME_MODEL", "-")
# Private, loopback or plain-HTTP hosts (or host:port) that tools may reach; others are refused.
TOOL_PRIVATE_HOSTS = env.words("TOOL_PRIVATE_HOSTS")
# Programs that may be started as MCP servers; whoever may add a source must not run any program.
MCP_PROGRAMS = env.words("MCP_PROGRAMS")
# Interactive calls at once in one web process; the next one gets an honest 429.
INTERACTIVE_CALLS = env.whole("INTERACTIVE_CALLS", 64, low=1, high=1000)
# Requests that a web process works on at once; more wait. A call that waits for a model holds one.
WEB_THREADS = env.whole("WEB_THREADS", 256, low=8, high=4000)
# A person asks a few times a minute; a key may serve a busy system (500 calls a second).
USER_CALLS_PER_MINUTE = env.whole("USER_CALLS_PER_MINUTE", 600, low=1)
KEY_CALLS_PER_MINUTE = env.whole("KEY_CALLS_PER_MINUTE", 30_000, low=1)
# Of all their calls together, read and written, without a provider's batches; 0 is no limit.
# Budgets cap what it costs.
USER_TOKENS_PER_MINUTE = env.whole("USER_TOKENS_PER_MINUTE", 0)
KEY_TOKENS_PER_MINUTE = env.whole("KEY_TOKENS_PER_MINUTE", 0)
# With OPENAI_BASE_URL: which model of it serves which tier.
OPENAI_MODELS = env.words(
    "OPENAI_MODELS", "light=gpt-4.1-nano,standard=gpt-4.1-mini,strong=gpt-4.1"
)

# ---------------------------------------------------------------- learning
# Where improvements are handed out as work items (an issue tracker's webhook); "-" is nowhere.
WORK_ITEM_WEBHOOK_URL = env.text("WORK_ITEM_WEBHOOK_URL", "-")
# Per cent of live answers that each admitted judge scores, and what it may cost a day; 0 is off.
JUDGE_LIVE_PERCENT = env.whole("JUDGE_LIVE_PERCENT", 5, high=100)
JUDGE_LIVE_USD_A_DAY = env.usd("JUDGE_LIVE_USD_A_DAY", "1")

# ---------------------------------------------------------------- Celery
CELERY_BROKER_URL = BROKER_URL
CELERY_RESULT_BACKEND = env.text("RESULT_BACKEND", _own.cache_url if _own else REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
# What learns needs numeric libraries, which I/O workers do not load.
CELERY_TASK_ROUTES = {"learning.*": {"queue": "analysis"}}
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_CONSUMER = "config.worker:Consumer"
# Which of a worker's lanes it takes from next: the first of its -Q that has anything ("strict"), or
# each in turn ("fair"). Redis only: RabbitMQ promises no order between lanes.
LANE_ORDER = env.one_of("LANE_ORDER", "fair", ("fair", "strict"))
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
if BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT = "config.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": VISIBILITY_TIMEOUT.total_seconds(),
        "socket_keepalive": True,
        # Priorities are lanes, so a queue is one list instead of four to be asked each time.
        "priority_steps": [0],
        "queue_order_strategy": {"fair": "round_robin", "strict": "priority"}[LANE_ORDER],
    }
CELERY_BEAT_SCHEDULER = "config.steady_beat:SteadyScheduler"
CELERY_TIMEZONE = "UTC"
# A worker's connections serve this many tasks before they are made anew, or until one is lost.
CELERY_DB_REUSE_MAX = 10_000

# ---------------------------------------------------------------- watching
# Who gives tables to the data lake, and where it lies unless the command says otherwise.
TELEMETRY_SOURCES = ("agents.lake", "learning.lake", "monitoring.lake", "workflows.lake")
LAKE_URL = env.text("LAKE_URL", str(RATCHET_HOME / "lake"))
# Whether beat keeps the lake up to yesterday; without, the command has to.
LAKE_EXPORT = env.flag("LAKE_EXPORT", default=True)
SENTRY_DSN = env.text("SENTRY_DSN", "-")
# Which queues must be consumed before the instance counts as ready, and how long one may rest.
READY_QUEUES = env.words("READY_QUEUES", "high,default,low,analysis,control")
READY_STALE = env.seconds("READY_STALE_SECONDS", "60")
# Under this PostgreSQL is about to stop; better to be taken out of service before.
READY_MIN_FREE_BYTES = env.whole("READY_MIN_FREE_MB", 200, low=0) * 2**20
# Prometheus on another machine shows this as a bearer token; without it only loopback may ask.
METRICS_TOKEN = env.text("METRICS_TOKEN", "-")
# Called once a minute while all sweeps are on time: whoever runs it misses the calls of an
# instance that can't tell any more ("-": nobody).
HEARTBEAT_URL = env.text("HEARTBEAT_URL", "-")
# Of traces that come in, errors and those slower than this are kept, and this share of the rest.
TRACE_SLOW = env.seconds("TRACE_SLOW_SECONDS", "10")
TRACE_SHARE = env.whole("TRACE_SHARE_PERCENT", 10, low=0, high=100) / 100
LOG_LEVEL = env.text("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "openai": {"level": "WARNING"},  # for debugging it tells requests with their bodies
        "mcp": {"level": "WARNING"},
        # Each line of a server that is no message, in full: it may hold client data.
        "mcp.client.stdio": {"level": "CRITICAL"},
        "mcp.client.streamable_http": {"level": "CRITICAL"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}

UNFOLD = {
    "SITE_TITLE": "Ratchet",
    "SITE_HEADER": "Ratchet",
    "SITE_URL": "/dashboard",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "config.access.context.icon"}
    ],
    "STYLES": ["config.access.context.admin_style"],
    # The accent of the pages (config/static/ratchet/ratchet.css) in the steps that Unfold asks for.
    "COLORS": {
        "primary": {
            "50": "#eef7f8",
            "100": "#d8ecee",
            "200": "#b4dbdf",
            "300": "#8ccbd2",
            "400": "#66c0ca",
            "500": "#2f939e",
            "600": "#1b6770",
            "700": "#175860",
            "800": "#15484f",
            "900": "#133c42",
            "950": "#0a2529",
        },
    },
}

# Tests hash passwords quickly; nothing else may.
if env.flag("RATCHET_TESTING", default=False):
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    KEY_KEPT = timedelta(0)

INSTALLATION = hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:12]
CONVERSATION_MEMORY = timedelta(days=30)
