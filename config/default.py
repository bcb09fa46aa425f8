"""Every setting, its unit and its default.

Each is overridden by the environment variable of the same name. What a value may be
is checked in ``codepush/settings.py``, at start.
"""

# Address the web server listens on.
HOST = "127.0.0.1"

# TCP port the web server listens on.
PORT = "3000"

# Number of web processes.
WEB_CONCURRENCY = "2"

# Threads in each web process: how many slow requests (uploads) one process bears at once.
WEB_THREADS = "8"

# Folder of all data the server keeps itself: the embedded store, bundles on local disk,
# uploads in flight.
DATA_DIR = "./var"

# URL the outside world reaches this server at, e.g. https://codepush.example.com. Package
# download URLs start with it. Empty: with the scheme and host of each request.
PUBLIC_URL = ""

# Redis or Valkey to use, e.g. rediss://:password@host:6379/0, a cluster
# (redis+cluster://host:6379,host:6379) or one found through sentinels
# (redis+sentinel://host:26379,host:26379/SERVICE). Empty: an embedded Valkey in DATA_DIR.
REDIS_URL = ""

# Redis or Valkey that queues background jobs; never a cluster. Empty: the one of REDIS_URL, which
# must then be no cluster.
QUEUE_URL = ""

# Whether the certificates of the servers of REDIS_URL, QUEUE_URL and QUOTA_REDIS_URL are checked (0
# or 1). 0: anybody between here and there can read and change everything; for platforms that give
# out a rediss:// URL of a server whose certificate no authority signed.
REDIS_TLS_VERIFY = "1"

# Where packages are kept. Empty: local disk, in DATA_DIR/blobs.
STORAGE_URL = ""

# Secrets of the storage account, where STORAGE_URL begins with azure: one of them, or none to use
# the identity of the machine.
AZURE_STORAGE_CONNECTION_STRING = ""
AZURE_STORAGE_KEY = ""

# Largest package a release may upload, in megabytes (1,000,000 bytes).
MAX_PACKAGE_MB = "200"

# Newest releases each deployment keeps. The newest enabled release of a binary range is kept
# beyond that.
HISTORY_LIMIT = "500"

# Days an access token lives unless its maker says otherwise.
TOKEN_TTL_DAYS = "60"

# Days the audit log of an organization is kept.
AUDIT_DAYS = "365"

# Days a package is kept after the last release that needs it is gone: devices may be downloading
# it.
BLOB_GRACE_DAYS = "8"

# Who may make an account by POST /api/v1/auth/register: open (everybody who reaches the server),
# invited (whoever holds an invitation to an organization) or closed (nobody).
REGISTRATION = "open"

# Requests an hour that each user may make of the management interfaces; 0: any number. An
# organization may have its own number: codepush organization set-quota.
QUOTA_USER_PER_HOUR = "1000"

# Requests an hour without a valid access token from each client address (IPv6: from each /64);
# 0: any number. Devices are not counted.
QUOTA_ADDRESS_PER_HOUR = "60"

# Requests a minute that all devices of one deployment key may make together; 0: any number.
QUOTA_DEVICE_PER_MINUTE = "0"

# Redis or Valkey that counts requests, if it is not to be the server's own store: nothing is lost
# with it, so it need not keep anything on a disk. Empty: the server's own store.
QUOTA_REDIS_URL = ""

# Days after which a device that reported nothing is no longer known, nor counted as active.
DEVICE_DAYS = "90"

# Days for which metrics are kept by the hour, and by the day.
SERIES_HOURLY_DAYS = "14"
SERIES_DAILY_DAYS = "400"

# Seconds that a CDN in front may keep answers to update checks that every device gets; 0: it must
# ask each time whether they still hold.
CDN_MAX_AGE_S = "0"

# How to have a CDN forget what changed: fastly://SERVICE_ID, cloudflare://ZONE_ID or
# https://host/purge/{key}. Empty: not at all.
CDN_PURGE_URL = ""

# Secret for that.
CDN_TOKEN = ""

# Number of reverse proxies in front whose X-Forwarded-* headers are believed.
TRUSTED_PROXIES = "0"

# Files (PEM) of a certificate with its chain, and of its private key: with both, the server speaks
# HTTPS itself. Empty: HTTP, for a proxy in front that ends TLS.
TLS_CERTIFICATE = ""
TLS_KEY = ""

# Encrypts the secrets of webhooks: at least 32 random characters, the same for the web server and
# the workers. To replace it, put the new one in front: new,old. Empty: with the embedded store, a
# key made at the first start, in DATA_DIR; with REDIS_URL, no webhooks.
SECRET_KEY = ""

# Whether webhooks may be called by http: as well as by https: (0 or 1).
WEBHOOK_ALLOW_HTTP = "0"

# Networks that webhooks may call though they are not public, e.g. 10.1.0.0/16,fd00:1::/32.
WEBHOOK_ALLOWED_NETWORKS = ""

# E-mail address of the administrator that the first start makes.
ADMIN_EMAIL = "admin@codepush.localhost"

# Least severe log messages written: debug, info, warning or error.
LOG_LEVEL = "info"

# Form of log lines: text for people, json for collectors.
LOG_FORMAT = "text"

# Lines about requests: off, sampled (one in ACCESS_LOG_RATE, and each that failed with a status of
# 500 or more) or all.
ACCESS_LOG = "off"

# Requests for each of which the sampled access log has one line.
ACCESS_LOG_RATE = "100"

# Token that whoever collects metrics sends to GET /metrics, and to METRICS_PORT. Empty: no metrics
# at the former, and at the latter for whoever reaches it.
METRICS_TOKEN = ""

# TCP port of its own, at HOST, at which metrics are served; keep it from the outside. 0: none.
METRICS_PORT = "0"

# Base URL of an OpenTelemetry collector that takes traces as OTLP over HTTP, e.g.
# http://localhost:4318. Empty: no traces. Needs the extra otel.
OTEL_EXPORTER_OTLP_ENDPOINT = ""
