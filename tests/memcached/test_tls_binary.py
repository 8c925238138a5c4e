"""The conversations of the binary protocol once more, over TLS: nothing of what a server says may change with it."""

import tls  # noqa: F401
from test_binary import *          # noqa: F401, F403

ON_THE_IMAGE = False
KINDS = "tls"
