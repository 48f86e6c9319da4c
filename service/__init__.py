"""The service: a trained model behind HTTP, as JSON and as the Open Inference Protocol v2.

Nothing that runs here reports to anyone. BentoML and onnxruntime would, unless these variables
are set before they look; `bentoml serve` has looked before it imports a service, and keeps the
answer, so that its answer is forgotten here too.
"""

import os
import sys

os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_usage = sys.modules.get("bentoml._internal.utils.analytics.usage_stats")
if _usage is not None:
    _usage.do_not_track.cache_clear()
