"""Names of files anywhere: paths of this machine, and URLs (``s3://``, ``https://`` …) by fsspec.

``place`` makes one of a name. ``flowkeep.sink.anywhere.whole`` writes to either, whole or not at all.
"""

from __future__ import annotations

from .url import Place as Place
from .url import Url as Url
from .url import is_url as is_url
from .url import place as place
from .url import same_file as same_file
