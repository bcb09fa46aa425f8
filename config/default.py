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

# Redis or Valkey to use, e.g. rediss://:password@host:6379/0. Empty: an embedded Valkey in
# DATA_DIR.
REDIS_URL = ""

# Where packages are kept. Empty: local disk, in DATA_DIR/blobs.
STORAGE_URL = ""

# Largest package a release may upload, in megabytes (1,000,000 bytes).
MAX_PACKAGE_MB = "200"

# Newest releases each deployment keeps. The newest enabled release of a binary range is kept
# beyond that.
HISTORY_LIMIT = "500"

# Days an access token lives unless its maker says otherwise.
TOKEN_TTL_DAYS = "60"

# Days the audit log of an organization is kept.
AUDIT_DAYS = "365"

# Who may make an account by POST /api/v1/auth/register: open (everybody who reaches the server),
# invited (whoever holds an invitation to an organization) or closed (nobody).
REGISTRATION = "open"

# Number of reverse proxies in front whose X-Forwarded-* headers are believed.
TRUSTED_PROXIES = "0"

# E-mail address of the administrator that the first start makes.
ADMIN_EMAIL = "admin@codepush.localhost"

# Least severe log messages written: debug, info, warning or error.
LOG_LEVEL = "info"

# Form of log lines: text for people, json for collectors.
LOG_FORMAT = "text"
