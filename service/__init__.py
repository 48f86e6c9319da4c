"""The service: a trained model behind HTTP, as JSON and as the Open Inference Protocol v2.

Telemetry is off. BentoML and onnxruntime send it unless these variables are set before they read
them; `bentoml serve` reads its variable before it imports a service and caches the value, so that
cache is cleared here too.
"""

import os
import sys

os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_usage = sys.modules.get("bentoml._internal.utils.analytics.usage_stats")
if _usage is not None:
    _usage.do_not_track.cache_clear()
